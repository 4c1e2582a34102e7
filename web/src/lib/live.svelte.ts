import { address, ask, get, Problem, type Parameters } from './api';
import { server } from './server.svelte';
import type { HookEvent, Page } from './types';

const KEPT = 200;
const FIRST_WAIT = 200;
const LONGEST_WAIT = 10_000;

export type LiveState = 'connecting' | 'live' | 'paused' | 'waiting';

/**
 * The latest events, newest first, at most 200. A connection that breaks is taken up again where it
 * broke off: no event is left out, and none comes twice.
 */
export class Live {
  events = $state.raw<HookEvent[]>([]);
  state = $state<LiveState>('connecting');
  /** How often the server had to leave something out, since we read too slowly. */
  gaps = $state(0);
  #last = '';
  #controller: AbortController | undefined;
  #waiting: HookEvent[] = [];
  #isDrawing = false;
  #isPaused = false;
  #wait = FIRST_WAIT;
  #parameters: Parameters = {};
  #ids = new Set<string>();

  /** Follow for as long as the effect lives that calls it. */
  follow(parameters: Parameters): () => void {
    void server.turn;
    if (JSON.stringify(parameters) !== JSON.stringify(this.#parameters)) {
      this.#parameters = parameters;
      this.#last = '';
      this.#ids.clear();
      this.events = [];
    }
    if (!this.#isPaused) void this.#run();
    return () => this.#controller?.abort();
  }

  pause(): void {
    this.#isPaused = true;
    this.#controller?.abort();
    this.state = 'paused';
  }

  resume(): void {
    this.#isPaused = false;
    void this.#run();
  }

  async #run(): Promise<void> {
    this.#controller?.abort();
    const controller = (this.#controller = new AbortController());
    const { signal } = controller;
    this.state = 'connecting';
    this.#wait = FIRST_WAIT;
    while (!signal.aborted) {
      try {
        await this.#stream(signal);
      } catch (error) {
        // A connection that breaks is the usual end of a stream.
        if (!signal.aborted && !(error instanceof Problem || error instanceof TypeError)) throw error;
      }
      if (signal.aborted) return;
      this.state = 'waiting';
      // While it is gone or wants a login, `server` says when to go on: it runs the effect again.
      if (server.isGone || server.needsLogin) return;
      await new Promise((resolve) => setTimeout(resolve, this.#wait));
      this.#wait = Math.min(2 * this.#wait, LONGEST_WAIT);
    }
  }

  async #stream(signal: AbortSignal): Promise<void> {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (this.#last) headers['last-event-id'] = this.#last;
    const response = await ask(address('/v1/live', this.#parameters), { signal, headers, cache: 'no-store' });
    const isFirst = !this.#last && !this.events.length;
    this.state = 'live';
    if (isFirst) void this.#fill(signal);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split(/\r?\n\r?\n/);
      rest = blocks.pop() ?? '';
      for (const block of blocks) this.#block(block);
    }
  }

  #block(block: string): void {
    let name = 'message';
    let id: string | undefined;
    const data: string[] = [];
    for (const line of block.split(/\r?\n/)) {
      const [field, text = ''] = line.split(/: ?(.*)/s);
      if (field === 'id') id = text;
      else if (field === 'event') name = text;
      else if (field === 'data') data.push(text);
    }
    if (id !== undefined) this.#last = id;
    this.#wait = FIRST_WAIT;
    if (name === 'gap') this.gaps += 1;
    if (name === 'hook_event' && data.length) this.#add(JSON.parse(data.join('\n')) as HookEvent);
  }

  /** What came before we listened. */
  async #fill(signal: AbortSignal): Promise<void> {
    try {
      const page = await get<Page<HookEvent>>(
        address('/v1/events', { ...this.#parameters, limit: 50 }),
        signal,
      );
      if (signal.aborted) return;
      const older = page.items.filter((one) => !this.#ids.has(one.id));
      for (const one of older) this.#ids.add(one.id);
      this.events = [...this.events, ...older].slice(0, KEPT);
    } catch (error) {
      // The stream itself tells of a server that is gone.
      if (!(error instanceof Problem) && !signal.aborted) throw error;
    }
  }

  #add(event: HookEvent): void {
    if (this.#ids.has(event.id)) return;
    this.#ids.add(event.id);
    this.#waiting.push(event);
    if (this.#waiting.length > KEPT) this.#waiting.shift();
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    // A burst is drawn once a frame.
    setTimeout(() => {
      this.#isDrawing = false;
      this.events = [...this.#waiting.reverse(), ...this.events].slice(0, KEPT);
      this.#waiting = [];
      this.#ids = new Set(this.events.map((one) => one.id));
    }, 50);
  }
}
