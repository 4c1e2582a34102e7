import type { Problem } from './api';
import type { FacetValue } from './api-types';

export interface FilterValue {
  value: string;
  /** How many rows have it. */
  count?: number;
}

/** A filter of a list: a parameter of the address and of the server. */
export interface FilterField {
  name: string;
  label: string;
  /** One with a control beside the chips is a chip only where it is wrong. */
  kind: 'choice' | 'text' | 'number' | 'control';
  /** The values that there are; undefined while that is not known. */
  values?: readonly FilterValue[] | undefined;
  /** A value as a person reads it. */
  title?: (value: string) => string;
  /** Whether another value than these cannot be typed. */
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

/** What a field that is true or false has beside its name. */
export const YES_NO = {
  kind: 'choice', isClosed: true, values: [{ value: 'true' }, { value: 'false' }],
  title: (value: string) => ({ true: 'yes', false: 'no' })[value] ?? value,
} as const;

// The server names no more values of a filter.
const MOST_VALUES = 200;

export const titleOf = (field: FilterField | undefined, value: string): string => field?.title?.(value) ?? value;

/** The parameter that an answer of the server refuses; empty for any other problem. */
export const refusedName = (problem: Problem | undefined): string =>
  problem?.code === 'bad_parameter' ? (problem.message.split(' ')[0] ?? '') : '';

/**
 * The filters of an address, the wrong ones marked.
 *
 * @param others The parameters of the address that are no filters.
 * @param hasRows Whether some row passes all of them.
 */
export function chipsOf(
  fields: readonly FilterField[],
  others: readonly string[],
  query: URLSearchParams,
  problem: Problem | undefined,
  hasRows: boolean,
): Chip[] {
  const refused = refusedName(problem);
  const sound = fields.flatMap((field): Chip[] => {
    const value = query.get(field.name) ?? '';
    if (!value) return [];
    const { values } = field;
    const isUnknown = field.kind === 'choice' && values?.length && values.length < MOST_VALUES && !values.some((one) => one.value === value);
    let reason = '';
    if (refused === field.name) reason = `${problem?.message ?? ''}${problem?.hint ? `: ${problem.hint}` : ''}`;
    else if (!hasRows && isUnknown) reason = 'nothing has this value';
    if (field.kind === 'control' && !reason) return [];
    return [{ name: field.name, label: field.label, value, title: titleOf(field, value), field, problem: reason }];
  });
  const names = new Set([...fields.map((field) => field.name), ...others]);
  const unknown = [...new Set(query.keys())].filter((name) => !names.has(name)).map((name): Chip => ({
    name, label: name, value: query.get(name) ?? '', title: query.get(name) ?? '', field: undefined,
    problem: 'there is no such filter',
  }));
  return [...sound, ...unknown];
}

/** The values that the server has counted, for a filter. */
export const valuesOf = (counted: readonly FacetValue[] | undefined): FilterValue[] | undefined =>
  counted?.map(({ value, rows }) => (rows === null ? { value } : { value, count: rows }));
