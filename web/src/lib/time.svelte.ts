const NEAR_MS = 300 * 86_400_000;
const two = (value: number): string => String(value).padStart(2, '0');

/** In which zone times are written: that of this browser, or UTC. Kept by the browser. */
class Clock {
  isUtc = $state(localStorage.getItem('zone') === 'utc');

  change(): void {
    this.isUtc = !this.isUtc;
    localStorage.setItem('zone', this.isUtc ? 'utc' : 'local');
  }

  /** The name of the zone, where it has one of its own. */
  get zoneName(): string {
    const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
    return this.isUtc || name === 'UTC' ? '' : name;
  }

  /** How far it is from UTC now. */
  get distance(): string {
    const minutes = this.isUtc ? 0 : -new Date().getTimezoneOffset();
    if (!minutes) return 'UTC';
    const size = Math.abs(minutes);
    return `UTC${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  }

  date(at: Date): string {
    return this.isUtc
      ? `${at.getUTCFullYear()}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`
      : `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  }

  clock(at: Date): string {
    return this.isUtc
      ? `${two(at.getUTCHours())}:${two(at.getUTCMinutes())}:${two(at.getUTCSeconds())}`
      : `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  }

  /** The time of day, of another day than today the date before it; of another year the date alone. */
  short(at: Date): string {
    const [date, today] = [this.date(at), this.date(new Date())];
    if (date === today) return this.clock(at);
    // A month is told from last year's as long as it is not the same again.
    const isNear = Math.abs(at.getTime() - Date.now()) < NEAR_MS;
    return isNear ? `${date.slice(5)} ${this.clock(at).slice(0, 5)}` : date;
  }

  /** `2026-11-21 15:04:05` */
  full(at: Date): string {
    return `${this.date(at)} ${this.clock(at)}`;
  }
}

export const clock = new Clock();

/** An instant of the server's text, which is in UTC and names no zone; undefined for none. */
export function instant(text: string | null | undefined): Date | undefined {
  if (!text) return undefined;
  const at = new Date(/(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text.replace(' ', 'T')}Z`);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** As the server reads it: an exact instant in UTC. */
export const toServer = (at: Date): string => at.toISOString();

/** The value of an input of type datetime-local, in the zone that is shown. */
export function toInput(at: Date | undefined): string {
  return at ? clock.full(at).slice(0, 16).replace(' ', 'T') : '';
}

export function fromInput(value: string): Date | undefined {
  return value ? new Date(clock.isUtc ? `${value}Z` : value) : undefined;
}

const HOUR = 3_600_000;
const UNITS = { m: 60_000, h: HOUR, d: 24 * HOUR, w: 7 * 24 * HOUR } as const;

/** The instant of a `since` of an address, in milliseconds: an age counts back from now. */
export function startOf(text: string): number {
  const age = /^(\d+)([mhdw])$/.exec(text);
  if (age) return Date.now() - Number(age[1]) * UNITS[age[2] as keyof typeof UNITS];
  return instant(text)?.getTime() ?? Date.now() - 24 * HOUR;
}

/** The length of a time of an address, in milliseconds; infinite where it has no beginning. */
export const lengthOf = (since: string, until: string): number =>
  since ? (until ? startOf(until) : Date.now()) - startOf(since) : Infinity;

/**
 * Where the axis of a time of an address begins and ends, in milliseconds: all of it, and all of
 * these beginnings of hours or days.
 */
export function axisEnds(times: readonly number[], stepMs: number, since: string, until: string): [number, number] {
  // Without any, the least and the largest are infinite; an axis needs two numbers.
  const first = times.length ? times.reduce((a, b) => Math.min(a, b)) : Date.now() - UNITS.d;
  const last = times.length ? times.reduce((a, b) => Math.max(a, b)) : Date.now();
  const start = since ? startOf(since) : first;
  const end = until ? startOf(until) : Math.max(last + stepMs, since ? Date.now() : 0);
  return [Math.min(start, first), Math.max(end, last + stepMs)];
}

/** The query of a time that was drawn over a chart, whole seconds of it. */
export const drawnTime = (from: number, to: number): { since: string; until: string } => ({
  since: toServer(new Date(Math.floor(from / 1000) * 1000)),
  until: toServer(new Date(Math.ceil(to / 1000) * 1000)),
});
