{# What follows a build: keys and derived tables, a commit, and the merge into the branch that it is published to. #}

{% macro finish(results) %}
  {% if execute and flags.WHICH in ['build', 'run', 'seed', 'snapshot'] and results %}
    {% set passed = ['success', 'pass', 'warn', 'no-op'] %}
    {% set failed = results | rejectattr('status', 'in', passed) | list | length %}
    {% set settings = epoch.settings() %}
    {% if failed %}
      {% do log('epoch: ' ~ failed ~ ' of ' ~ results | length ~ ' did not pass, so nothing is committed: branch '
          ~ settings.branch ~ ' has what was built', info=True) %}
    {% else %}
      {% do epoch.commit(results, settings) %}
      {% if flags.WHICH == 'build' and settings.publish and settings.publish != settings.branch %}
        {% do epoch.publish(settings) %}
      {% endif %}
    {% endif %}
  {% endif %}
{% endmacro %}

{% macro settings() %}
  {% set row = run_query("SELECT to_json(getvariable('epoch_dbt'))").rows[0] %}
  {{ return(fromjson(row[0], {}) or {}) }}
{% endmacro %}

{% macro commit(results, settings) %}
  {% set tables = epoch.tables() %}
  {% set built = {} %}
  {% for result in results if result.node.resource_type in ['model', 'seed', 'snapshot'] %}
    {% set name = epoch.table_of(result.node) %}
    {% set table = tables.get(name | lower) %}
    {% if table and result.node.database == target.database %}
      {% do built.update({name | lower: name}) %}
      {% do epoch.declare(result.node, name, table) %}
    {% endif %}
  {% endfor %}
  {% set changes = run_query("SELECT table_name, change FROM epoch_status() WHERE change <> 'unmade'").rows %}
  {% set rebuilt = [] %}
  {% for change in changes if change[1] == 'stale' and change[0] | lower in built %}
    {% do run_query("CALL epoch_rebuilt(" ~ epoch.literal(epoch.pattern(change[0])) ~ ")") %}
    {% do rebuilt.append(change[0]) %}
  {% endfor %}
  {% if rebuilt or changes | rejectattr(1, 'equalto', 'stale') | list %}
    {% set lines = ['dbt ' ~ flags.WHICH ~ ' of ' ~ project_name, '', 'invocation: ' ~ invocation_id] %}
    {% if settings.project %}{% do lines.append('git commit: ' ~ settings.project) %}{% endif %}
    {% set done = run_query("CALL epoch_commit(" ~ epoch.literal(lines | join('\n')) ~ ")").rows[0] %}
    {% do log('epoch: committed ' ~ done[0][:7] ~ ' on ' ~ done[1], info=True) %}
  {% else %}
    {% do log('epoch: nothing changed', info=True) %}
  {% endif %}
{% endmacro %}

{% macro publish(settings) %}
  {% set target = epoch.literal(settings.publish) %}
  {% if run_query("SELECT commit_id FROM epoch_log(" ~ target ~ ", max_count := 1)").rows[0][0] != settings.begun_at %}
    {% do exceptions.raise_compiler_error('epoch: ' ~ settings.publish ~ ' has moved since this build began, so nothing'
        ~ ' is published: build again, which begins with what is new there (python -m epoch_sql.dbt build does that by itself)') %}
  {% endif %}
  {% set done = run_query("CALL epoch_merge(" ~ epoch.literal(settings.branch)
      ~ ", target := " ~ target ~ ", require_fresh := true)").rows[0] %}
  {% do log('epoch: ' ~ settings.publish ~ (' is up to date' if done[0] == 'up-to-date' else ' is at ' ~ done[1][:7]),
      info=True) %}
{% endmacro %}

{% macro tables() %}
  {#- The working tables by their names in lower case: their key, whether it is a primary key, and `is_derived`. -#}
  {% set found = run_query("SELECT table_name, to_json(key_columns), CAST(is_derived AS VARCHAR) "
      ~ "FROM epoch_tables('WORKING') WHERE kind = 'table'").rows %}
  {% set primary = run_query("SELECT schema_name, table_name FROM duckdb_constraints() "
      ~ "WHERE constraint_type = 'PRIMARY KEY' AND database_name = current_database()").rows %}
  {% set names = [] %}
  {% for row in primary %}{% do names.append(epoch.table_of({'schema': row[0], 'alias': row[1]})) %}{% endfor %}
  {% set tables = {} %}
  {% for row in found %}
    {% do tables.update({row[0] | lower: {'key': fromjson(row[1]), 'primary': row[0] in names,
        'derived': row[2] == 'true'}}) %}
  {% endfor %}
  {{ return(tables) }}
{% endmacro %}

{% macro declare(node, name, table) %}
  {#- The key of a table that dbt built, and whether it is derived. -#}
  {% set key = epoch.key_of(node) %}
  {% if key and not table.primary and key != table.key and epoch.identifies(node, key) %}
    {% do run_query("CALL epoch_key(" ~ epoch.literal(name) ~ ", ['" ~ key | map('replace', "'", "''") | join("', '") ~ "'])") %}
  {% endif %}
  {#- An incremental model, a snapshot or a seed has rows that no rebuild gives again. -#}
  {% set default = node.resource_type == 'model' and node.config.materialized == 'table' %}
  {% if node.config.meta.get('epoch_derived', default) and not table.derived %}
    {% do run_query("CALL epoch_derived(" ~ epoch.literal(epoch.pattern(name)) ~ ")") %}
  {% endif %}
{% endmacro %}

{% macro key_of(node) %}
  {% set key = node.config.get('unique_key') or [] %}
  {% if node.resource_type == 'snapshot' %}
    {{ return([node.config.get('snapshot_meta_column_names').dbt_scd_id or 'dbt_scd_id']) }}
  {% elif not key and node.config.get('contract') and node.config.contract.enforced %}
    {{ return(epoch.key_of_contract(node)) }}
  {% endif %}
  {{ return([key] if key is string else key | list) }}
{% endmacro %}

{% macro key_of_contract(node) %}
  {#- The columns of a UNIQUE constraint that are all NOT NULL. A primary key needs no declaration. -#}
  {% set unique = [] %}
  {% set filled = [] %}
  {% for column in node.columns.values() %}
    {% for constraint in column.constraints %}
      {% if constraint.type == 'unique' %}{% do unique.append([column.name]) %}{% endif %}
      {% if constraint.type == 'not_null' %}{% do filled.append(column.name) %}{% endif %}
    {% endfor %}
  {% endfor %}
  {% for constraint in node.constraints %}
    {% if constraint.type == 'unique' %}{% do unique.append(constraint.columns) %}{% endif %}
    {% if constraint.type == 'not_null' %}{% do filled.extend(constraint.columns) %}{% endif %}
  {% endfor %}
  {% for columns in unique if not columns | reject('in', filled) | list %}
    {{ return(columns) }}
  {% endfor %}
  {{ return([]) }}
{% endmacro %}

{% macro identifies(node, key) %}
  {#- Whether these are columns of the table, and no row has NULL in one or the same values as another. -#}
  {% set relation = api.Relation.create(database=node.database, schema=node.schema, identifier=node.alias) %}
  {% set columns = adapter.get_columns_in_relation(relation) | map(attribute='name') | map('lower') | list %}
  {% set quoted = [] %}
  {% for name in key if name | lower in columns %}{% do quoted.append(adapter.quote(name)) %}{% endfor %}
  {% if quoted | length < key | length %}{{ return(false) }}{% endif %}
  {{ return(not run_query("SELECT 1 FROM " ~ relation ~ " GROUP BY " ~ quoted | join(', ') ~ " HAVING count(*) > 1 OR "
      ~ quoted | join(' IS NULL OR ') ~ " IS NULL LIMIT 1").rows | length) }}
{% endmacro %}

{% macro pattern(name) %}
  {#- The pattern that matches exactly this name. -#}
  {{ return(name | replace('[', '[[]') | replace('*', '[*]') | replace('?', '[?]')) }}
{% endmacro %}
