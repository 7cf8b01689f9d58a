// The rounds of one page: each new one, by its identity, is a reason to ask the server again.
import { useCallback, useState } from "react";

import { useLive } from "./live";
import { again, firstRound, followed, type Round } from "./rounds";

interface Rounds<K> {
  round: Round<K>;
  /** A person wants it again. */
  reload: () => void;
  /** The page wants it again: something changed, or time went by. */
  refresh: () => void;
}

export function useRounds<K>(key: K): Rounds<K> {
  const { epoch } = useLive();
  const [round, setRound] = useState(() => firstRound(key, epoch));
  const current = followed(round, key, epoch);
  // Set while rendering, so that nothing is asked for with the round before.
  if (current !== round) setRound(current);
  const reload = useCallback(() => setRound((before) => again(before, false)), []);
  const refresh = useCallback(() => setRound((before) => again(before, true)), []);
  return { round: current, reload, refresh };
}
