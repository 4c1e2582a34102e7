-- Later sums are added; the least and the largest of several are the first and the latest.
INSERT INTO {cells} (
    session, file, hour, tool, project, model, rows, first, last, others, calls, failures,
    input, cache_read, cache_write, output, cost, priced, unpriced, prompt, plan, verdict
)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session, file, hour, tool, project, model) DO UPDATE SET
    rows = rows + excluded.rows,
    first = min(first, excluded.first),
    last = max(last, excluded.last),
    others = others + excluded.others,
    calls = calls + excluded.calls,
    failures = failures + excluded.failures,
    input = input + excluded.input,
    cache_read = cache_read + excluded.cache_read,
    cache_write = cache_write + excluded.cache_write,
    output = output + excluded.output,
    cost = cost + excluded.cost,
    priced = priced + excluded.priced,
    unpriced = unpriced + excluded.unpriced,
    prompt = coalesce(min(prompt, excluded.prompt), prompt, excluded.prompt),
    plan = coalesce(max(plan, excluded.plan), plan, excluded.plan),
    verdict = coalesce(max(verdict, excluded.verdict), verdict, excluded.verdict)
