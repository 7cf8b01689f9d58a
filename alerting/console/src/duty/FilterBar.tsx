// The state groups with their counts; the chosen one is pressed.
import { useLanguage } from "../i18n/language";
import { countOf, filterLabel, FILTERS, type Filter } from "./filters";

interface FilterBarProps {
  filter: Filter;
  counts: Record<string, number>;
  choose: (filter: Filter) => void;
}

export function FilterBar({ filter, counts, choose }: FilterBarProps) {
  const { t } = useLanguage();
  return (
    <div className="filters" role="group" aria-label={t("duty.filter")}>
      {FILTERS.map((each) => (
        <button key={each} type="button" data-filter={each} aria-pressed={each === filter} onClick={() => choose(each)}>
          {t(filterLabel(each))} <span className="filter-count">{countOf(each, counts)}</span>
        </button>
      ))}
    </div>
  );
}
