const query = matchMedia('(max-width: 700px)');

/** Whether there is room for cards alone. */
class Narrow {
  isNarrow = $state(query.matches);

  constructor() {
    query.addEventListener('change', () => (this.isNarrow = query.matches));
  }
}

export const screenWidth = new Narrow();
