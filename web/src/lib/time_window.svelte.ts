import type { Playback } from './playback.svelte';

const SMALLEST = 500;

/** The part of a session's time line that is looked at, in its milliseconds: all, until zoomed. */
export class TimeWindow {
  #ends = $state.raw<readonly [number, number]>();

  constructor(readonly player: Playback) {}

  get from(): number {
    return this.#ends?.[0] ?? 0;
  }

  get to(): number {
    return this.#ends?.[1] ?? this.player.end;
  }

  get isWhole(): boolean {
    return this.#ends === undefined;
  }

  show(from: number, to: number): void {
    const { end } = this.player;
    const size = Math.max(to - from, SMALLEST);
    const start = Math.min(Math.max(from, 0), end - size);
    this.#ends = size < end ? [start, start + size] : undefined;
  }

  showAll(): void {
    this.#ends = undefined;
  }

  /** Show so many times less, with this moment where it is. */
  zoom(factor: number, at = this.#middle): void {
    const { from, to } = this;
    this.show(at - (at - from) / factor, at + (to - at) / factor);
  }

  pan(by: number): void {
    this.show(this.from + by, this.to + by);
  }

  /** Keep this moment in sight. */
  follow(at: number): void {
    if (this.#ends && (at < this.from || at > this.to)) this.pan(at - (this.from + this.to) / 2);
  }

  /** Where we are if that is in sight. */
  get #middle(): number {
    const { at } = this.player;
    return at >= this.from && at <= this.to ? at : (this.from + this.to) / 2;
  }
}
