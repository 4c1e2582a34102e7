import { address, type Parameters } from './api';

// The server takes no longer text in a query.
const LONGEST_ERROR = 2_000;

/**
 * Where we are: the part of the address behind `#`, as `#/sessions?q=text`. The server sees nothing
 * of it, so that one file serves all pages, and no filter comes into a log.
 */
class Route {
  path = $state('/');
  query = $state.raw(new URLSearchParams());
  /** Another number for each page that is gone to, also for one that was there before. */
  visit = 0;

  constructor() {
    this.#read();
    addEventListener('hashchange', () => this.#read());
    addEventListener('popstate', () => this.#read());
  }

  get parts(): string[] {
    return this.path.split('/').filter(Boolean).map(decode);
  }

  go(url: string): void {
    location.hash = url;
  }

  /** Go to a page that takes the place of this one, to which there is no way back. */
  replace(url: string): void {
    history.replaceState(null, '', url);
    this.#read();
  }

  /** Change some of the query. While typing, replace: one way back for a whole word. */
  set(changes: Parameters, { replace = false } = {}): void {
    const given = [...new Set(this.query.keys())].map((name) => [name, this.query.getAll(name)]);
    const query: Parameters = { ...Object.fromEntries(given), ...changes };
    const url = `#${address(this.path, query)}`;
    if (url === location.hash) return;
    if (replace) this.replace(url);
    else {
      history.pushState(null, '', url);
      this.#read();
    }
  }

  #read(): void {
    const [path = '', query = ''] = location.hash.slice(1).split(/\?(.*)/s);
    if ((path || '/') !== this.path) {
      this.path = path || '/';
      this.visit += 1;
    }
    if (query !== this.query.toString()) this.query = new URLSearchParams(query);
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export const route = new Route();

export const sessionUrl = (id: string): string => `#/sessions/${encodeURIComponent(id)}`;
/** Of an entry of a session: its id, or that of a record of it. */
export const entryUrl = (session: string, entry: string, thinking = false): string =>
  `#${address(`/sessions/${encodeURIComponent(session)}`, { thinking: thinking || '', entry })}`;
/** The sessions in which an error of this text was mended. */
export const fixesUrl = (error: string): string => `#${address('/fixes', { error: error.slice(0, LONGEST_ERROR) })}`;
export const fileUrl = (path: string): string => `#${address('/file', { path })}`;
export const planUrl = (id: string): string => `#/plans/${encodeURIComponent(id)}`;

export const applicationSessionUrl = (id: string): string => `#/application_sessions/${encodeURIComponent(id)}`;
