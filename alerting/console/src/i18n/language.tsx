// The chosen language for the component tree, kept across visits and announced on `<html lang>`.
import { createContext, use, useEffect, useMemo, useState, type ReactNode } from "react";

import { languageOf, localeTag, translator, type Language, type Translator } from "./translate";

const STORED_AS = "xueliang.language";

interface Choice extends Translator {
  choose: (language: Language) => void;
}

const Context = createContext<Choice | null>(null);

export function LanguageProvider({ children }: { children: ReactNode }) {
  const [language, setLanguage] = useState<Language>(() => languageOf(localStorage.getItem(STORED_AS)));

  useEffect(() => {
    document.documentElement.lang = localeTag(language);
  }, [language]);

  const choice = useMemo<Choice>(
    () => ({
      ...translator(language),
      choose: (next) => {
        localStorage.setItem(STORED_AS, next);
        setLanguage(next);
      },
    }),
    [language],
  );
  return <Context value={choice}>{children}</Context>;
}

export function useLanguage(): Choice {
  const choice = use(Context);
  if (choice === null) throw new Error("useLanguage needs a LanguageProvider");
  return choice;
}
