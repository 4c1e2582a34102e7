import { address, get, Problem } from './api';
import type { FoundEntries } from './api-types';
import type { Playback } from './playback.svelte';

/** A text in the entries of a session, sought by the server, which has their whole texts. */
export class EntrySearch {
  ids = $state.raw<ReadonlySet<string>>(new Set());
  problem = $state.raw<Problem>();
  #url = '';
  #controller: AbortController | undefined;

  constructor(readonly player: Playback) {}

  /** Forget what was found: the entries have changed. */
  forget(): void {
    this.#url = '';
  }

  /** Show nothing found, and break off what is asked for. */
  clear(): void {
    this.#controller?.abort();
    this.#url = '';
    this.ids = new Set();
    this.problem = undefined;
    this.player.notice = '';
  }

  /** Go to the next entry that has the text, or the one before; from the end on to the begin. */
  async go(path: string, text: string, thinking: boolean, step: number): Promise<void> {
    if (!text) {
      this.clear();
      return;
    }
    const url = address(`${path}/entries`, { q: text, thinking: thinking || '' });
    if (url !== this.#url && !(await this.#ask(url))) return;
    const { player } = this;
    const places = player.entries.flatMap((entry, index) => (this.ids.has(entry.id) ? [index] : []));
    const here = player.shown - 1;
    const next = step > 0
      ? (places.find((place) => place > here) ?? places[0])
      : (places.findLast((place) => place < here) ?? places.at(-1));
    if (next === undefined) {
      player.notice = 'not found';
      return;
    }
    player.isPlaying = false;
    player.show(next + 1);
    player.notice = `${places.indexOf(next) + 1} of ${places.length} found`;
  }

  async #ask(url: string): Promise<boolean> {
    this.#controller?.abort();
    const controller = (this.#controller = new AbortController());
    try {
      const { entries } = await get<FoundEntries>(url, controller.signal);
      if (controller.signal.aborted) return false;
      this.ids = new Set(entries);
      this.problem = undefined;
      this.#url = url;
      return true;
    } catch (error) {
      if (controller.signal.aborted) return false;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      return false;
    }
  }
}
