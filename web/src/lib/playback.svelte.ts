import { instant } from './time.svelte';
import type { Entry } from './api-types';

const PAUSE = 5_000;
const PICODOLLARS = 1e12;

/** What an entry used itself, where the entry has the sums until then. */
export interface Use {
  tokens: number;
  cost: number | null;
  unpriced: number;
}

/** A session's entries on a time line of their own, on which long pauses may be short. */
export class Playback {
  entries = $state.raw<Entry[]>([]);
  isShortened = $state(true);
  isPlaying = $state(false);
  speed = $state(1);
  /** Where we are, in milliseconds of that time line. */
  at = $state(0);
  /** How many entries have happened by then. */
  shown = $state(0);
  /** What was looked for and is not there. */
  notice = $state('');
  #times = $derived(this.entries.map((entry) => instant(entry.at)?.getTime() ?? 0));
  offsets = $derived.by(() => {
    const most = this.isShortened ? PAUSE : Infinity;
    let sum = 0;
    return this.#times.map((time, i) => {
      if (i) sum += Math.min(Math.max(time - (this.#times[i - 1] ?? time), 0), most);
      return sum;
    });
  });
  #last = 0;
  // Links to a prompt or call that was known by a record of its own then lead to it, too.
  #places = $derived.by(() => {
    const places = new Map<string, number>();
    this.entries.forEach((entry, index) => entry.records.forEach((id) => places.set(id, index)));
    this.entries.forEach((entry, index) => places.set(entry.id, index));
    return places;
  });

  get end(): number {
    return this.offsets.at(-1) ?? 0;
  }

  get here(): Entry | undefined {
    return this.entries[this.shown - 1];
  }

  /** What the entry at this place used. */
  use(index: number): Use {
    const [entry, before] = [this.entries[index], this.entries[index - 1]];
    const cost = (entry?.cost ?? 0) - (before?.cost ?? 0);
    return {
      tokens: (entry?.tokens ?? 0) - (before?.tokens ?? 0),
      // The sums are of whole picodollars, their difference as a float is not.
      cost: Math.round(cost * PICODOLLARS) / PICODOLLARS || null,
      unpriced: (entry?.unpriced ?? 0) - (before?.unpriced ?? 0),
    };
  }

  /**
   * Put entries in place of those that were there; whoever stood at the end stays at the end, and
   * else at the entry that is shown.
   */
  load(entries: Entry[]): void {
    const wasAtEnd = this.shown > 0 && this.shown === this.entries.length;
    const { here } = this;
    this.entries = entries;
    if (wasAtEnd) this.show(entries.length);
    else if (!here || !this.showEntry(here.id)) this.show(Math.max(1, this.shown));
  }

  /** Show the entry of this id, or of a record's; false where there is none. */
  showEntry(id: string): boolean {
    const index = this.#places.get(id);
    if (index !== undefined) this.show(index + 1);
    return index !== undefined;
  }

  /** The time in milliseconds at a place of the time line. */
  timeAt(offset: number): number {
    const index = Math.max(0, this.countAt(offset) - 1);
    const [time, next] = [this.#times[index] ?? 0, this.#times[index + 1]];
    const past = offset - (this.offsets[index] ?? 0);
    const length = (this.offsets[index + 1] ?? 0) - (this.offsets[index] ?? 0);
    // Within a pause that is shown shorter, it passes faster.
    return next === undefined || length <= 0 ? time + past : time + ((next - time) * past) / length;
  }

  /** The place on the time line of a moment so many milliseconds after an entry. */
  offsetAfter(index: number, ms: number): number {
    const time = (this.#times[index] ?? 0) + ms;
    let end = index;
    while (end + 1 < this.#times.length && (this.#times[end + 1] ?? 0) <= time) end += 1;
    const past = time - (this.#times[end] ?? 0);
    return Math.min((this.offsets[end] ?? 0) + past, this.offsets[end + 1] ?? this.end);
  }

  show(count: number): void {
    this.shown = Math.min(Math.max(count, Math.min(1, this.entries.length)), this.entries.length);
    this.at = this.offsets[this.shown - 1] ?? 0;
    this.notice = '';
  }

  seek(at: number): void {
    this.at = Math.min(Math.max(at, 0), this.end);
    this.shown = this.countAt(this.at);
    this.notice = '';
  }

  step(by: number): void {
    this.isPlaying = false;
    this.show(this.shown + by);
  }

  shorten(on: boolean): void {
    this.isShortened = on;
    this.at = this.offsets[this.shown - 1] ?? 0;
  }

  play(on = !this.isPlaying): void {
    this.isPlaying = on && this.entries.length > 0;
    if (!this.isPlaying) return;
    if (this.shown >= this.entries.length) this.seek(0);
    this.#last = performance.now();
    requestAnimationFrame((now) => this.#tick(now));
  }

  toFailure(step: number): void {
    this.#to((entry) => entry.is_failed, step, 'failure');
  }

  toPrompt(step: number): void {
    this.#to((entry) => entry.kind === 'prompt', step, 'prompt');
  }

  #to(is: (entry: Entry) => boolean, step: number, name: string): void {
    for (let i = this.shown - 1 + step; i >= 0 && i < this.entries.length; i += step) {
      const entry = this.entries[i];
      if (entry && is(entry)) {
        this.isPlaying = false;
        this.show(i + 1);
        return;
      }
    }
    this.notice = `no ${name} ${step > 0 ? 'after' : 'before'} this`;
  }

  #tick(now: number): void {
    if (!this.isPlaying) return;
    this.at = Math.min(this.at + (now - this.#last) * this.speed, this.end);
    this.#last = now;
    this.shown = Math.max(this.shown, this.countAt(this.at));
    if (this.shown >= this.entries.length) this.isPlaying = false;
    else requestAnimationFrame((next) => this.#tick(next));
  }

  countAt(ms: number): number {
    let low = 0;
    let high = this.offsets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.offsets[middle] ?? 0) <= ms) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** `1:02:03` of a time line. */
export function span(ms: number): string {
  const s = Math.floor(ms / 1000);
  const two = (n: number): string => String(n).padStart(2, '0');
  const minutes = s >= 3600 ? `${Math.floor(s / 3600)}:${two(Math.floor(s / 60) % 60)}` : `${Math.floor(s / 60)}`;
  return `${minutes}:${two(s % 60)}`;
}
