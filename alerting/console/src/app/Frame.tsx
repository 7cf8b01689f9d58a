// The frame around every page: name, navigation, connection, clock, language, account.
import { LogoutOutlined, UserOutlined } from "@ant-design/icons";
import { Dropdown } from "antd";
import type { ReactNode } from "react";

import type { Session, Trouble } from "../api/types";
import { useLanguage } from "../i18n/language";
import { clockTime, timeAgo } from "../i18n/time";
import type { Translator } from "../i18n/translate";
import type { Key } from "../i18n/zh";
import { ConnectionState } from "./ConnectionState";
import { LanguageSwitch } from "./LanguageSwitch";
import { useLive } from "./live";
import { Mark } from "./Mark";
import { useNow } from "./media";
import { Link, useRoute } from "./navigation";
import type { Route } from "./routes";
import { useSession } from "./session";

const PAGES: readonly { route: Route; label: Key }[] = [
  { route: { page: "duty" }, label: "nav.duty" },
  { route: { page: "devices" }, label: "nav.devices" },
  { route: { page: "counts" }, label: "nav.counts" },
  { route: { page: "grants" }, label: "nav.grants" },
];

export function Frame({ session, children }: { session: Session; children: ReactNode }) {
  const { t } = useLanguage();
  return (
    <div className="frame">
      <a className="skip" href="#main">
        {t("app.skip")}
      </a>
      <header className="bar">
        <Link to={{ page: "duty" }} className="bar-name">
          <Mark />
          <span>{t("app.name")}</span>
        </Link>
        <Navigation />
        <span className="bar-space" />
        <ConnectionState />
        <Clock />
        <LanguageSwitch />
        <AccountMenu session={session} />
      </header>
      <TroubleBanner />
      <main id="main" className="page" tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Navigation() {
  const { t } = useLanguage();
  const { page } = useRoute();
  const current = page === "incident" ? "duty" : page;
  return (
    <nav className="bar-nav" aria-label={t("nav.main")}>
      {PAGES.map(({ route, label }) => (
        <Link key={label} to={route} aria-current={route.page === current ? "page" : undefined}>
          {t(label)}
        </Link>
      ))}
    </nav>
  );
}

function Clock() {
  const { t } = useLanguage();
  const now = useNow();
  return (
    <time className="bar-clock" title={t("app.beijing_time")}>
      {clockTime(new Date(now).toISOString(), now)}
    </time>
  );
}

function AccountMenu({ session }: { session: Session }) {
  const { t, term } = useLanguage();
  const { signOut } = useSession();
  const roles = session.roles.map(({ role, region }) => `${term("role", role)} · ${region}`);
  const lines = roles.length > 0 ? roles : [t("account.no_roles")];
  const items = [
    { key: "roles", type: "group" as const, label: t("account.roles"), children: lines.map((label) => ({ key: label, label, disabled: true })) },
    { type: "divider" as const },
    { key: "out", icon: <LogoutOutlined />, label: t("account.sign_out"), onClick: () => void signOut() },
  ];
  return (
    <Dropdown menu={{ items }} trigger={["click"]} placement="bottomRight">
      <button type="button" className="plain-button" aria-label={`${t("account.menu")}: ${session.display_name}`}>
        <UserOutlined aria-hidden />
        <span className="bar-person">{session.display_name}</span>
      </button>
    </Dropdown>
  );
}

/** What keeps this page from showing how things are now: the way to the server, or a part of the server. */
function TroubleBanner() {
  const language = useLanguage();
  const { state, since, troubles } = useLive();
  const now = useNow();
  const { t } = language;
  const lines = state === "offline" ? [t("live.offline_long", { ago: timeAgo(since, now, language) })] : troubles.map((trouble) => troubleText(trouble, t));
  if (lines.length === 0) return null;
  return (
    <div className="trouble-banner" role="alert">
      {lines.map((line) => (
        <p key={line}>{line}</p>
      ))}
    </div>
  );
}

function troubleText({ part, detail }: Trouble, t: Translator["t"]): string {
  if (part === "store") return t("live.trouble_store");
  if (part === "source") return t("live.trouble_source");
  if (part === "audit") return t("live.trouble_audit");
  return t("live.trouble_other", { part, detail });
}
