-- The cells of the sessions in :ids, summed up. A text with a time before it is that of the first.
WITH known AS (
    SELECT *,
        file IN ({events}) AS is_event,
        file = {messages} AS is_message,
        file = {plans} AS is_plan,
        file = {applications} AS is_application,
        nullif(first, '{no_time}') AS first_time,
        nullif(last, '{no_time}') AS last_time
    FROM cells
    WHERE session IN (SELECT value FROM json_each(:ids)) AND session <> ''
),
summed AS (
    SELECT session AS session_id,
        coalesce(min(iif(is_event, first || tool, NULL)), min(iif(is_message, first || tool, NULL)))
            AS first_tool,
        ',' || group_concat(DISTINCT tool) || ',' AS tools,
        min(iif(project <> '', first || project, NULL)) AS first_project,
        (
            SELECT model
            FROM (
                SELECT model, sum(input + cache_read + cache_write + output) AS tokens,
                    max(last) AS last
                FROM cells
                WHERE cells.session = known.session AND model <> ''
                GROUP BY model
            )
            ORDER BY {model_order} LIMIT 1
        ) AS model,
        coalesce(min(iif(is_event OR is_message, first_time, NULL)), min(iif(is_plan, first_time, NULL)))
            AS started,
        coalesce(max(iif(is_event OR is_message, last_time, NULL)), max(iif(is_plan, last_time, NULL)))
            AS last,
        max(is_event OR is_message) AS has_worked,
        sum(iif(is_event, rows, 0)) AS events,
        sum(calls) AS calls,
        sum(failures) AS failures,
        sum(iif(is_message, rows - others, 0)) AS messages,
        sum(input + cache_read + cache_write + output) AS tokens,
        iif(sum(priced) > 0, sum(cost) / {picodollars}.0, NULL) AS cost,
        sum(unpriced) AS unpriced,
        sum(iif(is_plan, rows, 0)) AS plans,
        max(plan) AS plan,
        max(verdict) AS latest_verdict,
        coalesce(min(iif(is_event, prompt, NULL)), min(iif(is_message, prompt, NULL)))
            AS first_prompt,
        min(iif(is_application, prompt, NULL)) AS application
    FROM known
    GROUP BY session
    HAVING sum(file NOT IN ({verdicts}, {applications})) > 0
),
planned AS (
    SELECT *, {plan_fields}
    FROM summed
),
-- What is no sum has the name of its field of `SessionItem`.
listed AS (
    SELECT *,
        nullif(substr(first_tool, {after_time}), '') AS tool,
        nullif(substr(first_project, {after_time}), '') AS project,
        iif(has_worked, round(
            strftime('%s', substr(last, 1, 19)) - strftime('%s', substr(started, 1, 19))
            + CAST(substr(last, 20) AS REAL) - CAST(substr(started, 20) AS REAL), 6
        ), NULL) AS duration_seconds,
        coalesce(
            substr(latest_verdict, instr(latest_verdict, char(9)) + 1),
            (
                SELECT substr(max(verdict), instr(max(verdict), char(9)) + 1)
                FROM cells
                WHERE cells.session = planned_by
            ),
            {ruled}
        ) AS verdict,
        {title} AS title
    FROM planned
)
INSERT INTO sessions ({columns})
SELECT {columns}
FROM listed
