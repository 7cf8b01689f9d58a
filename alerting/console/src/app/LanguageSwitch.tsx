// Shows the other language by its own name, so that whoever can't read this one finds it.
import { TranslationOutlined } from "@ant-design/icons";

import { useLanguage } from "../i18n/language";

export function LanguageSwitch() {
  const { language, choose, t } = useLanguage();
  const other = language === "zh" ? "en" : "zh";
  return (
    <button type="button" className="plain-button" lang={other} title={t("app.language")} onClick={() => choose(other)}>
      <TranslationOutlined aria-hidden />
      <span>{other === "en" ? "English" : "中文"}</span>
    </button>
  );
}
