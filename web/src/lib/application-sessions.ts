import { instant } from './time.svelte';
import type { ApplicationSession } from './types';
import { inLine } from './words';

/** The fields that have a place of their own on the page of a session. */
const SHOWN = new Set([
  'session_id', 'application', 'participant', 'scenario', 'group', 'status', 'version', 'started_at',
  'updated_at', 'completed_at', 'outcome', 'summary', 'metadata',
]);

/** The participant and the scenario, as far as they are known. */
export const titleOf = (one: ApplicationSession): string =>
  [one.participant, one.scenario].map((part) => inLine(part).trim()).filter(Boolean).join(' · ') || one.session_id;

/** From its start to its completion; undefined where one of them is not known, or it ended before it began. */
export function secondsOf(one: ApplicationSession): number | undefined {
  const [start, end] = [instant(one.started_at), instant(one.completed_at)];
  return start && end && end >= start ? (end.getTime() - start.getTime()) / 1000 : undefined;
}

export const otherFields = (one: ApplicationSession): [string, unknown][] =>
  Object.entries(one).filter(([name]) => !SHOWN.has(name));
