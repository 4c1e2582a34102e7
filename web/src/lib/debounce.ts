import { route } from './route.svelte';

/**
 * Call a function once its caller has been silent for so many milliseconds. It is not called if
 * another page was gone to meanwhile: what it does is for the one that was there.
 */
export function debounce<A extends unknown[]>(
  action: (...given: A) => void,
  milliseconds: number,
): (...given: A) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (...given) => {
    clearTimeout(timer);
    const { visit } = route;
    timer = setTimeout(() => {
      if (visit === route.visit) action(...given);
    }, milliseconds);
  };
}
