export const TOOLS = [
  ['', 'all'], ['claude-code', 'Claude Code'], ['codex', 'Codex'], ['gemini-cli', 'Gemini CLI'],
  ['copilot-cli', 'Copilot CLI'], ['opencode', 'OpenCode'], ['kilo', 'Kilo'], ['pi', 'pi'],
  ['cline', 'Cline'], ['qwen-code', 'Qwen Code'], ['droid', 'Droid'], ['kimi-code', 'Kimi Code'],
  ['cursor', 'Cursor'], ['grok-build', 'Grok Build'], ['unknown', 'unknown'],
] as const;
export const COMPLEXITIES = [
  ['', 'any'], ['simple', 'simple'], ['medium', 'medium'], ['complex', 'complex'], ['very_complex', 'very complex'],
] as const;
export const VERDICTS = [
  ['', 'any'], ['success', 'success'], ['partial', 'partial'], ['failure', 'failure'],
] as const;

export const toolName = (tool: string | null | undefined): string =>
  TOOLS.find(([one]) => one && one === tool)?.[1] ?? tool ?? '–';

/** Enough of an id to tell it from others: ids that were made one after the other begin alike. */
export const shortId = (id: string): string => (id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id);

/** A name of a team: what was given whole, of a keyed hash as much as of an id. */
export const teamName = (name: string): string => (/^[0-9a-f]{32}$/.test(name) ? shortId(name) : name);

/** The last two parts of a path: enough to know it by. */
export const shortPath = (path: string | null | undefined): string =>
  path ? path.split('/').filter(Boolean).slice(-2).join('/') || path : '–';

/** A value that may be of any kind, in a line. */
export const inLine = (value: unknown): string =>
  value === null || value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
