import { located } from './base';
import { server } from './server.svelte';
import type { TokenRights as Who } from './api-types';

type Parameter = string | number | boolean | null | undefined;
export type Parameters = Record<string, Parameter | readonly string[]>;

/** Why there is no answer that can be shown: one line, and what to do about it. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly hint = '',
  ) {
    super(message);
  }

  /** Whether the same question may be answered in a moment. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 503 || this.status === 429;
  }
}

/** A path with its query, in which a list is a name several times; what is empty is left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (one !== null && one !== undefined && one !== '') query.append(name, String(one));
    }
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/**
 * Ask the server.
 *
 * Throws a `Problem`; `AbortError` where the signal has been given. Whoever sees a server that does
 * not answer, or that wants a login, tells `server`, which looks after that for the whole page.
 */
export async function ask(url: string, options: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(located(url), { credentials: 'same-origin', ...options });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    server.lost();
    throw new Problem(0, 'gone', 'The server does not answer.');
  }
  if (response.ok) return response;
  throw await problemOf(response);
}

/** The JSON document at an address of the server. */
export async function get<T>(url: string, signal?: AbortSignal): Promise<T> {
  const response = await ask(url, { signal: signal ?? null });
  try {
    return (await response.json()) as T;
  } catch (error) {
    if (signal?.aborted) throw error;
    // It was cut off in the middle of its answer.
    server.lost();
    throw new Problem(0, 'gone', 'The server broke off its answer.');
  }
}

/** Send a JSON document to the server, and return its answer. Throws a `Problem`. */
export async function post<T>(url: string, document: unknown): Promise<T> {
  const response = await ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(document),
  });
  return (await response.json()) as T;
}

/** Change a token for the cookie of a login. Throws a `Problem`. */
export async function logIn(token: string): Promise<void> {
  const { rights } = await post<Who>('/login', { token });
  if (!rights.includes('read') && !rights.includes('admin')) {
    throw new Problem(403, 'right', 'This token may not read.');
  }
  server.loggedIn();
}

export async function logOut(): Promise<void> {
  await post('/logout', {});
  server.needsLogin = true;
}

async function problemOf(response: Response): Promise<Problem> {
  let code = 'http';
  let message = `The server answered ${response.status}.`;
  let hint = '';
  try {
    const { error } = await response.json();
    if (typeof error.message === 'string') ({ code, message, hint } = error);
  } catch {
    // Not one of its own answers: the status says all that is known.
  }
  if (response.status === 401 && !response.url.endsWith('/login')) server.needsLogin = true;
  return new Problem(response.status, code, message, hint);
}
