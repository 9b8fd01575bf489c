-- In: what was decided for the rows of one table, numbered in that order.
-- Out: the same by key (NULL: for every row): the latest choice for the whole row, and those for cells, by column. A decision
-- for the table counts before one for everything.
SELECT
    key,
    max(choice) FILTER (column_name IS NULL) AS choice,
    map_from_entries(list(struct_pack(k := column_name, v := choice)) FILTER (column_name IS NOT NULL)) AS cells
FROM (
    SELECT
        key,
        column_name,
        arg_max(struct_pack(side := side, forced := forced, value := value), row(of_table, number)) AS choice
    FROM (
        SELECT
            CAST(NULL AS VARCHAR) AS key,
            CAST(NULL AS VARCHAR) AS column_name,
            CAST(NULL AS VARCHAR) AS side,
            false AS forced,
            CAST(NULL AS VARCHAR) AS value,
            false AS of_table,
            0 AS number
        WHERE false
        {{#resolutions}}
        UNION ALL SELECT {{key}}, {{column_name}}, {{side}}, {{forced}}, {{value}}, {{of_table}}, {{number}}
        {{/resolutions}}
    ) AS resolutions
    GROUP BY ALL
) AS latest
GROUP BY key
