// Whether what one sees is of now: a word and a dot, in every page's bar.
import { useLanguage } from "../i18n/language";
import { useLive } from "./live";

export function ConnectionState() {
  const { t } = useLanguage();
  const { state } = useLive();
  return (
    <span className={`connection connection-${state}`} role="status" data-state={state}>
      <span className="connection-dot" aria-hidden />
      <span className="connection-word">{t(`live.${state}`)}</span>
    </span>
  );
}
