import { get, Problem } from './api';
import { server } from './server.svelte';

const RETRY = 2_000;
const SLOW = 200;

/**
 * One document of the server. What is shown stays until the next is there, also when the server is
 * gone; an answer that is not wanted any more is broken off.
 */
export class Loaded<T> {
  value = $state.raw<T>();
  problem = $state.raw<Problem>();
  /** Whether it takes so long that a person should be told. */
  isSlow = $state(false);
  /** Whether `value` is of an address that was shown before this one. */
  isStale = $state(false);
  #controller: AbortController | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #every: ReturnType<typeof setInterval> | undefined;
  #url = '';
  #isAsking = false;

  /**
   * Show the document at this address for as long as the effect lives that calls it.
   *
   * @param everySeconds Ask again so often while the page can be seen; 0 for never.
   */
  show(url: string, everySeconds = 0): () => void {
    // Reading it makes the effect run again when the server is back.
    void server.turn;
    const path = url.split('?')[0];
    if (path !== this.#url.split('?')[0]) this.value = undefined;
    if (url !== this.#url) this.isStale = true;
    this.#url = url;
    void this.#load();
    if (everySeconds) {
      this.#every = setInterval(() => {
        // An answer that takes longer than that is waited for.
        if (!this.#isAsking && !document.hidden && !server.isGone && !server.needsLogin) void this.#load(true);
      }, everySeconds * 1000);
    }
    return () => this.#stop();
  }

  /** Ask once more, as long as it is shown. */
  again(): void {
    if (!this.#controller?.signal.aborted) void this.#load();
  }

  async #load(isQuiet = false): Promise<void> {
    this.#controller?.abort();
    clearTimeout(this.#retry);
    const controller = (this.#controller = new AbortController());
    this.#isAsking = true;
    const slow = setTimeout(() => (this.isSlow = !isQuiet), SLOW);
    try {
      const value = await get<T>(this.#url, controller.signal);
      if (controller.signal.aborted) return;
      this.value = value;
      this.problem = undefined;
      this.isStale = false;
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      this.isStale = false;
      // One that is gone is looked after in `server`.
      if (error.isPassing && error.status) this.#retry = setTimeout(() => this.again(), RETRY);
    } finally {
      clearTimeout(slow);
      if (this.#controller === controller) this.isSlow = this.#isAsking = false;
    }
  }

  #stop(): void {
    this.#controller?.abort();
    clearTimeout(this.#retry);
    clearInterval(this.#every);
  }
}
