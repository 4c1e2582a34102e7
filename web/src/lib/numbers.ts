// One way to write each kind of number, everywhere.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });
const dollars = new Intl.NumberFormat('en', { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const cents = new Intl.NumberFormat('en', { minimumFractionDigits: 4, maximumFractionDigits: 4 });

export const NONE = '–';

// From here on a number has more digits than anybody counts.
const HUGE = 1e15;
const written = (value: number, form: Intl.NumberFormat): string =>
  Math.abs(value) < HUGE ? form.format(value) : value.toExponential(2);

export const count = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : written(value, whole);

export const compact = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : written(value, short);

/** US dollars. What is not known is a dash, never 0. */
export function money(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  const size = Math.abs(value);
  return `${value < 0 ? '-' : ''}$${written(size, size < 1 && size > 0 ? cents : dollars)}`;
}

/** US dollars at the line of an axis, which is a round number: `$0.05`, `$1.2K`. */
export const moneyTick = (value: number): string =>
  `${value < 0 ? '-' : ''}$${Math.abs(value) < 1 ? Number(Math.abs(value).toPrecision(3)) : compact(Math.abs(value))}`;

/** A cost, and how many messages have no price and are not in it. */
export const partly = (cost: number | null, unpriced: number): string =>
  unpriced ? `${cost === null ? '' : `${money(cost)} + `}${count(unpriced)} unpriced` : money(cost);

export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? NONE : `${Math.round(value * 100)}%`;

export const share = (part: number, all: number): string =>
  all ? `${((100 * part) / all).toFixed(part && part / all < 0.1 ? 1 : 0)}%` : NONE;

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  const units = ['KB', 'MB', 'GB', 'TB'];
  let size = value / 1024;
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${size < 10 ? size.toFixed(1) : Math.round(size)} ${units[unit]}`;
}

/** A figure of a test: four digits that mean something. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined) return NONE;
  return Math.abs(value) < 10_000 ? String(Number(value.toPrecision(4))) : written(value, whole);
}

/** A p-value: `0.031`, `< 0.001`. */
export const chance = (p: number | null | undefined): string =>
  p === null || p === undefined ? NONE : p < 0.001 ? '< 0.001' : p.toFixed(3);

/** `12 ms`, `1.3 s`, `2m 5s`; a dash where it ended before it began. */
export function milliseconds(value: number | null | undefined): string {
  if (value === null || value === undefined || value < 0) return NONE;
  if (value < 1_000) return `${Math.round(value)} ms`;
  return value < 60_000 ? `${(value / 1_000).toFixed(1)} s` : duration(value / 1_000);
}

/** A span of time: `2h 5m`, `3m 4s`, `12s`; a dash where it ended before it began. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || seconds < 0) return NONE;
  const s = Math.floor(seconds);
  const parts: [number, string][] = [
    [Math.floor(s / 86_400), 'd'],
    [Math.floor(s / 3_600) % 24, 'h'],
    [Math.floor(s / 60) % 60, 'm'],
    [s % 60, 's'],
  ];
  const told = parts.filter(([value]) => value).map(([value, unit]) => `${value}${unit}`);
  return told.slice(0, 2).join(' ') || '0s';
}
