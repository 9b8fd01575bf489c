-- In: Parquet files.
-- Out: a row per file: its id, how many rows it has, and a text that is the same for files with the same columns.
SELECT file_id, num_rows, columns
FROM (
    SELECT parse_filename(file_name, true) AS file_id, num_rows
    FROM parquet_file_metadata({{paths}})
) AS sizes
JOIN (
    SELECT
        parse_filename(file_name, true) AS file_id,
        md5(CAST(list((
            name, type, type_length, repetition_type, num_children, converted_type, scale, precision, field_id,
            logical_type
        )) AS VARCHAR)) AS columns
    FROM parquet_schema({{paths}})
    GROUP BY ALL
) AS schemas USING (file_id)
