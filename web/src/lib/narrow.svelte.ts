const [narrow, medium] = [matchMedia('(max-width: 700px)'), matchMedia('(max-width: 1100px)')];

class ScreenWidth {
  /** Whether there is room for cards alone. */
  isNarrow = $state(narrow.matches);
  /** Whether a list has no room for whole times beside its titles. */
  isMedium = $state(medium.matches);

  constructor() {
    narrow.addEventListener('change', () => (this.isNarrow = narrow.matches));
    medium.addEventListener('change', () => (this.isMedium = medium.matches));
  }
}

export const screenWidth = new ScreenWidth();
