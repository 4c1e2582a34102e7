export type Theme = 'system' | 'light' | 'dark';

const THEMES: readonly Theme[] = ['system', 'light', 'dark'];
const prefersDark = matchMedia('(prefers-color-scheme: dark)');

/** Light or dark: what the system says, until a person says otherwise. Kept by the browser. */
class Colours {
  theme = $state<Theme>('system');
  isDark = $state(prefersDark.matches);

  constructor() {
    const kept = localStorage.getItem('theme') as Theme | null;
    this.set(kept && THEMES.includes(kept) ? kept : 'system');
    prefersDark.addEventListener('change', () => this.set(this.theme));
  }

  set(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem('theme', theme);
    document.documentElement.dataset.theme = theme;
    this.isDark = theme === 'system' ? prefersDark.matches : theme === 'dark';
  }

  next(): void {
    this.set(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length] ?? 'system');
  }

  /** A colour of the style sheet, for a canvas; the effect that asks runs again with the theme. */
  get(name: string): string {
    void this.isDark;
    const probe = document.createElement('i');
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }
}

export const colours = new Colours();
