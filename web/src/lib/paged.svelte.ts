import { address, get, Problem, type Parameters } from './api';
import { server } from './server.svelte';
import type { Page } from './types';

const SIZE = 100;
const HELD = 12;
const SLOW = 200;
const RETRY = 2_000;

interface Known<T> {
  cursor: string;
  items: T[] | undefined;
  count: number;
}

/**
 * A list of any length, page after page. Only some pages are held, those that were looked at last;
 * of the others, where they begin.
 */
export class Paged<T, Name extends string = 'items'> {
  #pages = $state.raw<Known<T>[]>([]);
  problem = $state.raw<Problem>();
  isSlow = $state(false);
  /** Whether the first page has come, so that an empty list is known to be one. */
  isKnown = $state(false);
  /** Whether there is more behind what is known. */
  hasMore = $state(false);
  /** The page that is shown is not yet that of the filters: another is on its way. */
  isStale = $state(false);
  #next = '';
  #path = '';
  #parameters: Parameters = {};
  #controller: AbortController | undefined;
  #isAsking = false;
  #loading = new Set<number>();
  #used: number[] = [];
  #name: Name;

  /** @param name The field of the answer that has the rows. */
  constructor(name: Name) {
    this.#name = name;
  }

  get length(): number {
    return this.#pages.reduce((sum, page) => sum + page.count, 0);
  }

  /** Show the list of this question for as long as the effect lives that calls it. */
  show(path: string, parameters: Parameters, everySeconds = 0): () => void {
    void server.turn;
    this.#path = path;
    this.#parameters = parameters;
    this.#controller?.abort();
    const controller = (this.#controller = new AbortController());
    this.#loading.clear();
    this.isStale = true;
    void this.#first(controller.signal);
    const timer = everySeconds
      ? setInterval(() => {
          // An answer that takes longer than that is waited for.
          if (this.#isAsking || document.hidden || server.isGone || server.needsLogin || this.#pages.length > 1) return;
          void this.#first(controller.signal, true);
        }, everySeconds * 1000)
      : undefined;
    return () => {
      controller.abort();
      clearInterval(timer);
    };
  }

  /** Look whether there is more; a list that was read beyond its first page stays as it is. */
  again(): void {
    const signal = this.#controller?.signal;
    if (signal && !signal.aborted && this.#pages.length <= 1) void this.#first(signal, true);
  }

  /** The row at this place; undefined while it is on its way. */
  at(index: number): T | undefined {
    let start = 0;
    for (const page of this.#pages) {
      if (index < start + page.count) return page.items?.[index - start];
      start += page.count;
    }
    return undefined;
  }

  /** Fetch what these rows need. */
  need(from: number, to: number): void {
    const signal = this.#controller?.signal;
    if (!signal || signal.aborted || !this.isKnown || this.isStale) return;
    let start = 0;
    this.#pages.forEach((page, number) => {
      const isSeen = start < to && start + page.count > from;
      if (isSeen) this.#used = [number, ...this.#used.filter((one) => one !== number)];
      if (isSeen && !page.items) void this.#fetch(number, page.cursor, signal);
      start += page.count;
    });
    if (this.hasMore && to > start - SIZE / 2) void this.#fetch(this.#pages.length, this.#next, signal);
  }

  async #first(signal: AbortSignal, isQuiet = false): Promise<void> {
    this.#isAsking = true;
    const slow = setTimeout(() => (this.isSlow = !isQuiet), SLOW);
    try {
      const page = await this.#ask('', signal);
      if (signal.aborted || (isQuiet && this.#pages.length > 1)) return;
      const items = page[this.#name];
      this.#pages = [{ cursor: '', items, count: items.length }];
      this.#used = [0];
      this.#next = page.next ?? '';
      this.hasMore = page.next !== null;
      this.isKnown = true;
      this.isStale = false;
      this.problem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      if (error.isPassing && error.status) setTimeout(() => signal.aborted || void this.#first(signal), RETRY);
    } finally {
      clearTimeout(slow);
      if (!signal.aborted) this.isSlow = this.#isAsking = false;
    }
  }

  async #fetch(number: number, cursor: string, signal: AbortSignal): Promise<void> {
    if (this.#loading.has(number)) return;
    this.#loading.add(number);
    try {
      const page = await this.#ask(cursor, signal);
      if (signal.aborted) return;
      const pages = [...this.#pages];
      const items = page[this.#name];
      pages[number] = { cursor, items, count: items.length };
      if (number === this.#pages.length) {
        this.#next = page.next ?? '';
        this.hasMore = page.next !== null;
      }
      this.#used = [number, ...this.#used.filter((one) => one !== number)];
      for (const old of this.#used.splice(HELD)) {
        const page = pages[old];
        if (page) pages[old] = { ...page, items: undefined };
      }
      this.#pages = pages;
      this.problem = undefined;
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
    } finally {
      if (!signal.aborted) this.#loading.delete(number);
    }
  }

  #ask(cursor: string, signal: AbortSignal): Promise<Page<T, Name>> {
    return get<Page<T, Name>>(address(this.#path, { ...this.#parameters, limit: SIZE, cursor }), signal);
  }
}
