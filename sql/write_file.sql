-- In: the rows of a level, in the order in which they are to lie.
-- Out: one Parquet file whose columns carry the ids of the table's columns as field ids.
COPY ({{rows}}) TO {{path}} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880, FIELD_IDS {{field_ids}}{{options}})
