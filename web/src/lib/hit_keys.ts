import { keys, type Shortcut } from './keys.svelte';
import { moveHit } from './searching.svelte';

/** The keys of a page of hits, for as long as the effect lives that calls it. */
export function takeHitKeys(others: readonly (Shortcut & { does: Record<string, () => void> })[] = []): () => void {
  return keys.take([
    { keys: 'j', what: 'Next match', does: { j: () => moveHit(1), ArrowDown: () => moveHit(1) } },
    { keys: 'k', what: 'Previous match', does: { k: () => moveHit(-1), ArrowUp: () => moveHit(-1) } },
    { keys: 'Enter', what: 'Open it', does: {} },
    ...others,
  ]);
}
