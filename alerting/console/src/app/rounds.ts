// When a page asks the server again, and who caused that: what a page asks for by itself keeps no session alive. Pure.

export interface Round<K> {
  /** What is looked at; another one is a person's choice. */
  key: K;
  /** The stream's; it rises when the stream comes back. */
  epoch: number;
  byItself: boolean;
}

export function firstRound<K>(key: K, epoch: number): Round<K> {
  return { key, epoch, byItself: false };
}

/** The round after what the page looks at, or the stream, is another; the same one while neither is. */
export function followed<K>(round: Round<K>, key: K, epoch: number): Round<K> {
  if (round.key !== key) return { key, epoch, byItself: false };
  if (round.epoch !== epoch) return { key, epoch, byItself: true };
  return round;
}

/** The same is asked for once more. */
export function again<K>(round: Round<K>, byItself: boolean): Round<K> {
  return { ...round, byItself };
}
