{# What models and people read of other branches, tags and commits. #}

{% macro epoch_ref(ref, name) %}
  {#- A table as of a reference, for FROM. `name` is a model, seed or snapshot, or a table as Epoch names it. -#}
  epoch_at({{ epoch.literal(ref) }}, {{ epoch.literal(epoch.named(name)) }})
{%- endmacro %}

{% macro epoch_compare(model, from) %}
  {#- `dbt run-operation epoch_compare`: how a table differs from that of a reference. -#}
  {% set name = epoch.named(model) %}
  {% do log(name ~ ": " ~ from ~ " and the working tables", info=True) %}
  {% do run_query("SELECT rows_added, rows_modified, rows_removed, rows_unmodified, cells_modified FROM epoch_diff_stat("
      ~ epoch.literal(from) ~ ", 'WORKING', table_name := " ~ epoch.literal(name) ~ ")").print_table(max_columns=none) %}
  {% set schema = run_query("SELECT object, name, diff_type, from_definition, to_definition FROM epoch_schema_diff("
      ~ epoch.literal(from) ~ ", 'WORKING') WHERE table_name = " ~ epoch.literal(name)) %}
  {% if schema.rows | length %}{% do schema.print_table(max_columns=none) %}{% endif %}
{% endmacro %}

{% macro named(name) %}
  {#- The name of a table for Epoch: that of the model, seed or snapshot, or else as it is given. -#}
  {% if execute %}
    {% for node in graph.nodes.values() if node.name == name and node.resource_type in ['model', 'seed', 'snapshot'] %}
      {{ return(epoch.table_of(node)) }}
    {% endfor %}
  {% endif %}
  {{ return(name) }}
{% endmacro %}

{% macro table_of(node) %}
  {% set alias = epoch.part(node.alias) %}
  {{ return(alias if node.schema == 'main' else epoch.part(node.schema) ~ '.' ~ alias) }}
{% endmacro %}

{% macro part(name) %}
  {{ return('"' ~ name | replace('"', '""') ~ '"' if '.' in name or '"' in name else name) }}
{% endmacro %}

{% macro literal(text) %}
  {{- return("'" ~ (text | string | replace("'", "''")) ~ "'") -}}
{% endmacro %}
