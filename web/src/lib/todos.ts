import type { Entry } from './api-types';

export type TodoState = 'open' | 'started' | 'completed' | 'dropped';

export interface Todo {
  text: string;
  state: TodoState;
}

const STATES: Record<string, TodoState> = { '+': 'open', '>': 'started', x: 'completed', '-': 'dropped' };

/** The to-do list of each agent after so many entries, as the story's own changes make it. */
export function todosAt(entries: readonly Entry[], shown: number): Map<string | null, Todo[]> {
  const lists = new Map<string | null, Map<string, TodoState>>();
  for (const entry of entries.slice(0, shown)) {
    if (entry.kind !== 'focus') continue;
    const list = lists.get(entry.agent_id) ?? new Map<string, TodoState>();
    lists.set(entry.agent_id, list);
    for (const line of entry.lines) {
      const state = STATES[line[0] ?? ''];
      if (state && line[1] === ' ') list.set(line.slice(2), state);
    }
  }
  return new Map(
    [...lists].map(([agent, list]) => [agent, [...list].map(([text, state]) => ({ text, state }))]),
  );
}
