/** A list as somebody wants to see it again: its filters, order and columns. */
export interface View {
  name: string;
  /** As it stands in the address. */
  query: string;
}

/** The views of a list that this browser keeps. */
export class Views {
  saved = $state.raw<View[]>([]);
  readonly #key: string;

  constructor(list: string) {
    this.#key = `views:${list}`;
    this.saved = read(this.#key);
  }

  /** Keep a view; one of the same name is replaced. */
  save(name: string, query: string): void {
    this.#keep([...this.saved.filter((view) => view.name !== name), { name, query }]);
  }

  remove(name: string): void {
    this.#keep(this.saved.filter((view) => view.name !== name));
  }

  #keep(views: View[]): void {
    this.saved = views.sort((a, b) => a.name.localeCompare(b.name));
    localStorage.setItem(this.#key, JSON.stringify(this.saved));
  }
}

function read(key: string): View[] {
  try {
    const views: unknown = JSON.parse(localStorage.getItem(key) ?? '[]');
    const isView = (one: View): boolean => typeof one?.name === 'string' && typeof one.query === 'string';
    return Array.isArray(views) ? views.filter(isView) : [];
  } catch {
    return [];
  }
}
