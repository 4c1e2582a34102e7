import { located } from './base';
import { server } from './server.svelte';

const BETWEEN = 500;
const RETRY = 10_000;

/**
 * The state of something at the server, told at the moment when it is another. Every connection
 * begins with the present state, so nothing is missed by one that breaks.
 */
export class Changes<T> {
  state = $state<'connecting' | 'live' | 'waiting'>('connecting');
  value = $state.raw<T>();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #turn = $state(0);

  /** Follow for as long as the effect lives that calls it. */
  follow(url: string): () => void {
    void server.turn;
    void this.#turn;
    const source = new EventSource(located(url));
    let latest: T | undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    this.state = 'connecting';
    source.onopen = () => (this.state = 'live');
    source.onerror = () => {
      this.state = 'waiting';
      // A browser connects again by itself, but for an answer that is no stream.
      if (source.readyState === EventSource.CLOSED) this.#retry = setTimeout(() => (this.#turn += 1), RETRY);
    };
    source.addEventListener('change', (event) => {
      latest = JSON.parse(event.data) as T;
      // Of many that follow each other closely the last counts.
      timer ??= setTimeout(() => {
        timer = undefined;
        this.value = latest;
      }, this.value ? BETWEEN : 0);
    });
    return () => {
      source.close();
      clearTimeout(timer);
      clearTimeout(this.#retry);
    };
  }
}
