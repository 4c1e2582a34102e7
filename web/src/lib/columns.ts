/** A column that a list can show. */
export interface ListColumn {
  /** The word of the address, and of the server for what is downloaded. */
  key: string;
  name: string;
  /** The word by which the server sorts it. */
  sort?: string;
  className?: string;
}

/** The columns of a word of the address, in its order; what there is no column of is passed over. */
export function columnsOf<T extends ListColumn>(all: readonly T[], word: string | null, usual: readonly string[]): T[] {
  const keys = word ? word.split(',') : usual;
  const columns = [...new Set(keys)].flatMap((key) => all.find((column) => column.key === key) ?? []);
  return columns.length ? columns : columnsOf(all, null, usual);
}

/** What this browser was told to show of a list, as a word of the address; empty for the usual. */
export const keptColumns = (list: string): string => localStorage.getItem(`columns:${list}`) ?? '';

export function keepColumns(list: string, word: string): void {
  if (word) localStorage.setItem(`columns:${list}`, word);
  else localStorage.removeItem(`columns:${list}`);
}

// Of a class of a column, in pixels: as the style of the table has it.
const WIDTHS: Record<string, number> = { time: 188, short: 86, verdict: 105, name: 154, cost: 126 };
const TITLE = 220;

/** What some columns need at least; where a list has less, it is moved sideways. */
export const widthOf = (columns: readonly ListColumn[]): number =>
  columns.reduce((sum, { className = '' }) => sum + (WIDTHS[className.split(' ').at(-1) ?? ''] ?? TITLE), 0);
