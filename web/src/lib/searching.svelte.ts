import { route } from './route.svelte';

export const SEARCH = '/search';

/** The search of everything, for its box, which is on every page, and for the page of its results. */
class Searching {
  /** Whether the first hit is to be gone to once it is there. */
  isEntering = $state(false);
  // Where a search began, and ends.
  #from = '#/';

  get isShown(): boolean {
    return route.path === SEARCH;
  }

  get words(): string {
    return this.isShown ? (route.query.get('q') ?? '') : '';
  }

  /** Search for words; of another page, the results come in its place. */
  for(words: string): void {
    const changes = { q: words, near: '', limit: '' };
    if (this.isShown) {
      // While typing there is one way back for all words.
      if (words !== this.words) route.set(changes, { replace: true });
    } else if (words.trim()) {
      this.#from = location.hash || '#/';
      route.go(`${SEARCH}?${new URLSearchParams({ q: words })}`);
    }
  }

  /** Go back to where the search began. */
  leave(): void {
    this.isEntering = false;
    if (this.isShown) route.go(this.#from);
  }
}

export const searching = new Searching();

export const hits = (): HTMLElement[] => [...document.querySelectorAll<HTMLElement>('main a.hit')];

/** Move the focus by so many hits; to the first if it is elsewhere. */
export function moveHit(by: number): void {
  const links = hits();
  const here = links.indexOf(document.activeElement as HTMLElement);
  const next = links[here < 0 ? 0 : Math.min(Math.max(here + by, 0), links.length - 1)];
  next?.focus();
  next?.scrollIntoView({ block: 'nearest' });
}
