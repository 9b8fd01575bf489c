-- In: the rows of a level, in the order of the file. Version 2 packs numbers and strings: it is faster to read, and so small
-- that more than the lightest compression costs time and gains nothing.
-- Out: one Parquet file whose columns carry the ids of the table's columns as field ids.
COPY ({{rows}}) TO {{path}} (FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 122880, FIELD_IDS {{field_ids}}{{options}})
