const FIRST_WAIT = 500;
const LONGEST_WAIT = 15_000;

/**
 * Whether the server answers, for the whole page: one place asks again and again while it is gone,
 * and whoever shows something of it reads `turn`, which goes up when it is there again.
 */
class Server {
  isGone = $state(false);
  needsLogin = $state(false);
  turn = $state(0);
  nextTry = $state(0);
  #wait = FIRST_WAIT;
  #timer: ReturnType<typeof setTimeout> | undefined;

  lost(): void {
    if (this.isGone) return;
    this.isGone = true;
    this.#wait = FIRST_WAIT;
    this.#later();
  }

  loggedIn(): void {
    this.needsLogin = false;
    this.turn += 1;
  }

  async tryNow(): Promise<void> {
    clearTimeout(this.#timer);
    this.nextTry = 0;
    try {
      const response = await fetch('/healthz', { cache: 'no-store' });
      if (!response.ok) throw new Error(String(response.status));
    } catch {
      this.#wait = Math.min(this.#wait * 2, LONGEST_WAIT);
      this.#later();
      return;
    }
    this.isGone = false;
    this.turn += 1;
  }

  #later(): void {
    // Many pages at once must not all come back in the same moment.
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.nextTry = Date.now() + wait;
    this.#timer = setTimeout(() => void this.tryNow(), wait);
  }
}

export const server = new Server();

addEventListener('online', () => {
  if (server.isGone) void server.tryNow();
});
