import type { Problem } from './api';
import type { FacetValue } from './api-types';

export interface FilterValue {
  value: string;
  title?: string;
  /** How many rows have it. */
  count?: number;
}

/** A filter of a list: a parameter of the address and of the server. */
export interface FilterField {
  name: string;
  label: string;
  /** A time has its own control: it is a chip only where it is wrong. */
  kind: 'choice' | 'text' | 'number' | 'time';
  /** The values that there are; undefined while that is not known. */
  values?: readonly FilterValue[] | undefined;
  /** The server takes no other value than these. */
  isClosed?: boolean;
  min?: number;
  max?: number;
  step?: number;
  placeholder?: string;
}

/** A filter in force. */
export interface Chip {
  name: string;
  label: string;
  value: string;
  title: string;
  field: FilterField | undefined;
  /** Why nothing passes it; empty for a sound one. */
  problem: string;
}

export const YES_NO: readonly FilterValue[] = [{ value: 'true', title: 'yes' }, { value: 'false', title: 'no' }];

/** The parameter that an answer of the server refuses; empty for any other problem. */
export const refusedName = (problem: Problem | undefined): string =>
  problem?.code === 'bad_parameter' ? (problem.message.split(' ')[0] ?? '') : '';

/**
 * The filters of an address, the wrong ones marked.
 *
 * @param others The parameters of the address that are no filters.
 */
export function chipsOf(
  fields: readonly FilterField[],
  others: readonly string[],
  query: URLSearchParams,
  problem: Problem | undefined,
): Chip[] {
  const refused = refusedName(problem);
  const sound = fields.flatMap((field): Chip[] => {
    const value = query.get(field.name) ?? '';
    if (!value) return [];
    const known = field.values?.find((one) => one.value === value);
    let reason = '';
    if (refused === field.name) reason = `${problem?.message ?? ''}${problem?.hint ? `: ${problem.hint}` : ''}`;
    else if (field.kind === 'choice' && field.values?.length && !known) {
      reason = field.isClosed ? 'there is no such value' : 'nothing has this value';
    }
    if (field.kind === 'time' && !reason) return [];
    return [{ name: field.name, label: field.label, value, title: known?.title ?? value, field, problem: reason }];
  });
  const names = new Set([...fields.map((field) => field.name), ...others]);
  const unknown = [...new Set(query.keys())].filter((name) => !names.has(name)).map((name): Chip => ({
    name, label: name, value: query.get(name) ?? '', title: query.get(name) ?? '', field: undefined,
    problem: 'there is no such filter',
  }));
  return [...sound, ...unknown];
}

/** The values that the server has counted, for a filter. */
export const valuesOf = (
  counted: readonly FacetValue[] | undefined,
  title?: (value: string) => string,
): FilterValue[] | undefined =>
  counted?.map(({ value, count }) => ({
    value, ...(title ? { title: title(value) } : {}), ...(count === null ? {} : { count }),
  }));
