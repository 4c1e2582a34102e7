/** Call a function once its caller has been silent for so many milliseconds. */
export function debounce<A extends unknown[]>(
  action: (...given: A) => void,
  milliseconds: number,
): (...given: A) => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...given), milliseconds);
  };
}
