import type { SearchHit, SearchResult } from './api-types';
import { address } from './api';
import { planUrl, sessionUrl } from './route.svelte';
import type { FilterField } from './filters';

type PassageKind = SearchHit['kind'];

/** The kinds of passages, as a person reads them. */
export const KINDS: Record<PassageKind, string> = {
  prompt: 'prompt', answer: 'answer', thinking: 'thinking', command: 'command', output: 'output', error: 'error',
  path: 'file', plan: 'plan', todo: 'to-do', note: 'note', application: 'application',
};

/** The colour of a kind: that of its entry in a session. */
export const COLOURS: Record<PassageKind, string> = {
  prompt: 'prompt', answer: 'message', thinking: 'thinking', command: 'tool', output: 'tool', error: 'failed',
  path: 'tool', plan: 'plan', todo: 'focus', note: 'event', application: 'event',
};

// The kind of the entry that has a passage; of the others any entry of the record will do.
const ENTRIES: Partial<Record<PassageKind, string>> = {
  prompt: 'prompt', answer: 'message', thinking: 'thinking', command: 'tool', output: 'tool', error: 'tool',
  path: 'tool', plan: 'plan', todo: 'focus',
};

/** A piece of an excerpt: a match, or what is between two. */
export interface Piece {
  text: string;
  isMatch: boolean;
}

/** Cut an excerpt at its marks, which count characters, not the halves of them that JavaScript counts. */
export function piecesOf(excerpt: string, marks: readonly { start: number; end: number }[]): Piece[] {
  const characters = [...excerpt];
  const pieces: Piece[] = [];
  let at = 0;
  const add = (end: number, isMatch: boolean): void => {
    if (end > at) pieces.push({ text: characters.slice(at, end).join(''), isMatch });
    at = Math.max(at, end);
  };
  for (const { start, end } of marks) {
    add(start, false);
    add(end, true);
  }
  add(characters.length, false);
  return pieces;
}

/** The address at which a hit is seen; empty where nothing shows its record. */
export function hitUrl(hit: SearchHit, session: string): string {
  if (!session) {
    if (hit.purpose === 'planner_sessions') return planUrl(hit.record_id);
    return hit.purpose.endsWith('_hooks') ? `#${address('/events', { event: hit.record_id })}` : '';
  }
  // A verdict stands in no entry, but below them all.
  if (hit.purpose === 'outcomes') return sessionUrl(session);
  const text = piecesOf(hit.excerpt, hit.marks).find(({ isMatch }) => isMatch)?.text;
  return `#${address('/open', { link: hit.link, kind: ENTRIES[hit.kind], q: text })}`;
}

/** The address of the entry of a record, which the server finds. */
export const recordUrl = (session: string, record: string): string =>
  `#${address('/open', { link: `khive-persist://session/${encodeURIComponent(session)}?record=${encodeURIComponent(record)}` })}`;

/** `12 of 345 matches in 8 sessions`. */
export function countsOf({ shown, matched, sessions }: SearchResult): string {
  const of = shown < matched ? `${shown.toLocaleString()} of ` : '';
  const places = sessions.filter((session) => session.session_id).length;
  return `${of}${matched.toLocaleString()} ${matched === 1 ? 'match' : 'matches'} in ${places.toLocaleString()} ${places === 1 ? 'session' : 'sessions'}`;
}

/** What an answer lacks; empty where the index has all. */
export function lackOf({ behind, vectors }: SearchResult): string {
  const lacks: string[] = [];
  if (behind === null) lacks.push('The index is being made: there may be more.');
  else if (behind) lacks.push(`The index is behind by ${behind.toLocaleString()} ${behind === 1 ? 'change' : 'changes'}: there may be more.`);
  if (vectors?.problem) lacks.push(`Only words were compared, not meaning: ${vectors.problem}.`);
  else if (vectors?.waiting) lacks.push(`The meaning of ${vectors.waiting.toLocaleString()} ${vectors.waiting === 1 ? 'passage' : 'passages'} is not known yet.`);
  return lacks.join(' ');
}

export const KIND_FIELD: FilterField = {
  name: 'kind', label: 'Kind', kind: 'choice', isClosed: true, values: Object.keys(KINDS).map((value) => ({ value })),
  title: (value) => KINDS[value as PassageKind] ?? value,
};

/** The session and the record that a `khive-persist://` link names; undefined for any other text. */
export function partsOfLink(link: string): { session: string; record: string } | undefined {
  const [, session, query] = /^khive-persist:\/\/session\/([^/?#]+)(?:\?([^#]*))?$/.exec(link.trim()) ?? [];
  if (!session) return undefined;
  try {
    return { session: decodeURIComponent(session), record: new URLSearchParams(query).get('record') ?? '' };
  } catch {
    return undefined;
  }
}
