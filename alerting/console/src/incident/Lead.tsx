// The note that stands under every image.
import { InfoCircleOutlined } from "@ant-design/icons";

import { useLanguage } from "../i18n/language";

export function Lead() {
  const { t } = useLanguage();
  return (
    <p className="lead">
      <InfoCircleOutlined aria-hidden /> {t("incident.lead")}
    </p>
  );
}
