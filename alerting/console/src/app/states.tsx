// The states in which a page has nothing to show, each with its own words: loading, empty, refused, broken.
import { DisconnectOutlined, InboxOutlined, LockOutlined, WarningOutlined } from "@ant-design/icons";
import { Button, Spin } from "antd";
import type { ReactNode } from "react";

import type { Failure } from "../api/problem";
import { useLanguage } from "../i18n/language";
import { failureText } from "../i18n/failure";

const ICONS = {
  empty: <InboxOutlined />,
  locked: <LockOutlined />,
  offline: <DisconnectOutlined />,
  broken: <WarningOutlined />,
};

interface NoticeProps {
  icon: keyof typeof ICONS;
  title: string;
  hint?: string;
  action?: ReactNode;
}

export function Notice({ icon, title, hint, action }: NoticeProps) {
  return (
    <div className="notice" role={icon === "empty" ? "status" : "alert"}>
      <span className="notice-icon" aria-hidden>
        {ICONS[icon]}
      </span>
      <p className="notice-title">{title}</p>
      {hint !== undefined && <p className="notice-hint">{hint}</p>}
      {action}
    </div>
  );
}

export function Loading() {
  const { t } = useLanguage();
  return (
    <div className="notice" role="status">
      <Spin />
      <p className="notice-hint">{t("app.loading")}</p>
    </div>
  );
}

/** A request that failed, in words, with a way to try again where that can help. */
export function FailureNotice({ failure, retry }: { failure: Failure; retry: () => void }) {
  const language = useLanguage();
  const { t } = language;
  if (failure.kind === "forbidden") {
    return <Notice icon="locked" title={t("failure.no_permission")} hint={t("failure.no_permission_hint")} />;
  }
  const icon = failure.kind === "offline" ? "offline" : "broken";
  const again = <Button onClick={retry}>{t("failure.retry")}</Button>;
  return <Notice icon={icon} title={failureText(failure, language)} action={again} />;
}
