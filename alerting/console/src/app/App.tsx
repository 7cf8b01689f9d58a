// What is on the screen: nothing yet, the sign-in page, or the frame with the page that the address names.
import { App as AntApp, ConfigProvider } from "antd";
import enUS from "antd/locale/en_US";
import zhCN from "antd/locale/zh_CN";
import { lazy, Suspense } from "react";

import { LanguageProvider, useLanguage } from "../i18n/language";
import { Frame } from "./Frame";
import { LiveProvider } from "./live";
import { DARK, useMedia } from "./media";
import { Link, useRoute } from "./navigation";
import { SessionProvider, useSession } from "./session";
import { SignIn } from "./SignIn";
import { Loading, Notice } from "./states";
import { darkTheme, lightTheme } from "./theme";

const DutyPage = lazy(() => import("../duty/DutyPage"));
const IncidentPage = lazy(() => import("../incident/IncidentPage"));
const CountsPage = lazy(() => import("../counts/CountsPage"));
const GrantsPage = lazy(() => import("../grants/GrantsPage"));
const DevicesPage = lazy(() => import("../devices/DevicesPage"));

export function App() {
  return (
    <LanguageProvider>
      <Themed />
    </LanguageProvider>
  );
}

function Themed() {
  const dark = useMedia(DARK);
  const { language } = useLanguage();
  return (
    <ConfigProvider locale={language === "zh" ? zhCN : enUS} theme={dark ? darkTheme : lightTheme} button={{ autoInsertSpace: false }}>
      <AntApp message={{ maxCount: 3 }} className="app">
        <SessionProvider>
          <Gate />
        </SessionProvider>
      </AntApp>
    </ConfigProvider>
  );
}

function Gate() {
  const { state } = useSession();
  const { t } = useLanguage();
  switch (state.kind) {
    case "checking":
      return <Loading />;
    case "unreachable":
      return <Notice icon="offline" title={t("app.unreachable")} hint={t("app.unreachable_hint")} />;
    case "signed_out":
      return <SignIn because={state.because} />;
    case "signed_in":
      return (
        <LiveProvider>
          <Frame session={state.session}>
            <Suspense fallback={<Loading />}>
              <Page />
            </Suspense>
          </Frame>
        </LiveProvider>
      );
  }
}

function Page() {
  const route = useRoute();
  const { t } = useLanguage();
  switch (route.page) {
    case "duty":
      return <DutyPage />;
    case "incident":
      return <IncidentPage key={route.id} id={route.id} />;
    case "devices":
      return <DevicesPage />;
    case "counts":
      return <CountsPage />;
    case "grants":
      return <GrantsPage />;
    case "unknown":
      return <Notice icon="empty" title={t("app.not_found")} action={<Link to={{ page: "duty" }}>{t("app.to_duty")}</Link>} />;
  }
}
