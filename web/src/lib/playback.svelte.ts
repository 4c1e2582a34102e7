import { instant } from './time.svelte';
import type { Entry } from './api-types';

const PAUSE = 5_000;

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

  get end(): number {
    return this.offsets.at(-1) ?? 0;
  }

  get here(): Entry | undefined {
    return this.entries[this.shown - 1];
  }

  /** Put entries in place of those that were there; whoever stood at the end stays at the end. */
  load(entries: Entry[]): void {
    const wasAtEnd = this.shown > 0 && this.shown === this.entries.length;
    this.entries = entries;
    if (wasAtEnd) this.show(entries.length);
    else this.show(Math.max(1, this.shown));
  }

  show(count: number): void {
    this.shown = Math.min(Math.max(count, Math.min(1, this.entries.length)), this.entries.length);
    this.at = this.offsets[this.shown - 1] ?? 0;
    this.notice = '';
  }

  seek(at: number): void {
    this.at = Math.min(Math.max(at, 0), this.end);
    this.shown = this.#countAt(this.at);
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
    for (let i = this.shown - 1 + step; i >= 0 && i < this.entries.length; i += step) {
      if (this.entries[i]?.is_failed) {
        this.isPlaying = false;
        this.show(i + 1);
        return;
      }
    }
    this.notice = step > 0 ? 'no failure after this' : 'no failure before this';
  }

  find(text: string, step: number): void {
    const wanted = text.toLowerCase();
    const all = this.entries.length;
    if (!wanted) return;
    for (let n = 1; n <= all; n++) {
      const i = (((this.shown - 1 + step * n) % all) + all) % all;
      const entry = this.entries[i];
      if (
        entry?.title.toLowerCase().includes(wanted) ||
        entry?.lines.some((line) => line.toLowerCase().includes(wanted))
      ) {
        this.isPlaying = false;
        this.show(i + 1);
        return;
      }
    }
    this.notice = 'not found';
  }

  #tick(now: number): void {
    if (!this.isPlaying) return;
    this.at = Math.min(this.at + (now - this.#last) * this.speed, this.end);
    this.#last = now;
    this.shown = Math.max(this.shown, this.#countAt(this.at));
    if (this.shown >= this.entries.length) this.isPlaying = false;
    else requestAnimationFrame((next) => this.#tick(next));
  }

  #countAt(ms: number): number {
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
