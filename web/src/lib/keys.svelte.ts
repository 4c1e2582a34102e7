import type { NamedPage } from './pages';
import { route } from './route.svelte';

export interface Shortcut {
  keys: string;
  what: string;
}

export const EVERYWHERE: Shortcut[] = [
  { keys: 't', what: 'Light, dark, as the system' },
  { keys: 'u', what: 'Times in this zone or in UTC' },
  { keys: '?', what: 'This list' },
];

/** To the field of a page that seeks in what the page shows; `/` seeks in all that is recorded. */
export const FIND = {
  keys: 'i', what: 'Find in this page',
  does: { i: () => document.querySelector<HTMLInputElement>('main input[type=search]')?.focus() },
} as const;

/** The keys of the page that is shown; each page sets its own while it is there. */
class Keys {
  ofPage = $state.raw<Shortcut[]>([]);
  /** The pages that there are, each of which is gone to by `g` and its key. */
  pages = $state.raw<readonly NamedPage[]>([]);
  isHelpOpen = $state(false);
  #actions = new Map<string, () => void>();
  // Of a page that was opened just now, no key came before.
  #wentG = -Infinity;

  /** Take keys for as long as the effect lives that calls it. */
  take(shortcuts: (Shortcut & { does: Record<string, () => void> })[]): () => void {
    this.ofPage = shortcuts;
    this.#actions = new Map(shortcuts.flatMap((one) => Object.entries(one.does)));
    return () => {
      this.ofPage = [];
      this.#actions = new Map();
    };
  }

  pressed(event: KeyboardEvent, everywhere: Record<string, () => void>): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    const kind = target.tagName;
    // Keys that mean something to what has the focus are left to it.
    if (kind === 'SELECT' || kind === 'TEXTAREA') return;
    const takesText = kind === 'INPUT' && !/^(checkbox|range)$/.test((target as HTMLInputElement).type);
    if (takesText || (kind === 'INPUT' && !/^[^ ]$/.test(event.key))) return;
    if ((event.key === ' ' || event.key === 'Enter') && /^(BUTTON|A|SUMMARY)$/.test(kind)) return;
    if (document.querySelector('dialog[open]')) return;
    const page = event.timeStamp - this.#wentG < 1500 ? this.pages.find((one) => one.key === event.key) : undefined;
    this.#wentG = -Infinity;
    if (page) {
      route.go(`/${page.path}`);
      event.preventDefault();
      return;
    }
    if (event.key === 'g') {
      this.#wentG = event.timeStamp;
      return;
    }
    const action = this.#actions.get(event.key) ?? everywhere[event.key];
    if (action) {
      event.preventDefault();
      action();
    }
  }
}

export const keys = new Keys();
