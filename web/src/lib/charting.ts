import { colours } from './theme.svelte';

/** What all charts have in common; asked for in an effect, it follows the theme. */
export function frame(): { textStyle: object; grid: object; tooltip: object } {
  return {
    textStyle: { fontFamily: 'system-ui, sans-serif' },
    grid: { left: 52, right: 18, top: 18, bottom: 44 },
    tooltip: {
      // As text on the canvas: names come from payloads, and the other kind is HTML.
      renderMode: 'richText',
      confine: true,
      backgroundColor: colours.get('panel'),
      borderColor: colours.get('line'),
      textStyle: { color: colours.get('text'), fontSize: 12 },
    },
  };
}

/** An axis of numbers with its name below or beside it. */
export function axis(name: string, more: object = {}): object {
  const [dim, line] = [colours.get('dim'), colours.get('line')];
  return {
    type: 'value',
    name,
    nameLocation: 'middle',
    nameTextStyle: { color: dim },
    axisLine: { lineStyle: { color: line } },
    axisTick: { show: false },
    axisLabel: { color: dim, hideOverlap: true },
    splitLine: { lineStyle: { color: line } },
    ...more,
  };
}

/** Text of a payload for a tooltip, in which braces and bars would mean something. */
export const plain = (text: string): string => text.replace(/[{}|\n]/g, ' ').slice(0, 60);
