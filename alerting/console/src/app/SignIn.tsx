// The sign-in page. Says why one is here when it isn't by choice, and what went wrong in words.
import { LockOutlined, UserOutlined } from "@ant-design/icons";
import { Alert, Button, Form, Input } from "antd";

import type { Failure } from "../api/problem";
import { failureText } from "../i18n/failure";
import { useLanguage } from "../i18n/language";
import type { Translator } from "../i18n/translate";
import { LanguageSwitch } from "./LanguageSwitch";
import { Mark } from "./Mark";
import { OFFERED, providerUrl } from "./provider";
import { useSession, type SignedOutBecause } from "./session";
import { useSubmit } from "./useSubmit";
import "./sign-in.css";

interface Credentials {
  account: string;
  password: string;
}

export function SignIn({ because }: { because: SignedOutBecause }) {
  const { t } = useLanguage();
  const { signIn } = useSession();
  // Whoever is signed in sees another page.
  const { busy, failure, submit } = useSubmit(() => undefined);

  return (
    <main className="sign-in">
      <div className="sign-in-language">
        <LanguageSwitch />
      </div>
      <section className="sign-in-card" aria-labelledby="sign-in-title">
        <h1 id="sign-in-title" className="sign-in-title">
          <Mark />
          <span>{t("app.name")}</span>
          <small>{t("app.subtitle")}</small>
        </h1>
        <Reason because={because} failure={failure} />
        <Form<Credentials> layout="vertical" requiredMark={false} onFinish={({ account, password }) => submit(signIn(account.trim(), password))} disabled={busy}>
          <Form.Item name="account" label={t("sign_in.account")} rules={[{ required: true, message: t("sign_in.account_missing") }]}>
            <Input prefix={<UserOutlined />} autoComplete="username" autoFocus size="large" />
          </Form.Item>
          <Form.Item name="password" label={t("sign_in.password")} rules={[{ required: true, message: t("sign_in.password_missing") }]}>
            <Input.Password prefix={<LockOutlined />} autoComplete="current-password" size="large" />
          </Form.Item>
          <Button type="primary" htmlType="submit" size="large" block loading={busy}>
            {t("sign_in.submit")}
          </Button>
        </Form>
        {document.querySelector(OFFERED) !== null && (
          <Button href={providerUrl(location.pathname + location.search)} size="large" block className="sign-in-provider" data-testid="provider">
            {t("sign_in.provider")}
          </Button>
        )}
        <p className="sign-in-note">{t("sign_in.registered")}</p>
      </section>
    </main>
  );
}

function Reason({ because, failure }: { because: SignedOutBecause; failure: Failure | null }) {
  const language = useLanguage();
  const { t } = language;
  if (failure !== null) return <Alert type="error" showIcon title={refusal(failure, language)} />;
  if (because === "expired") return <Alert type="warning" showIcon title={t("sign_in.expired")} />;
  if (because === "signed_out") return <Alert type="info" showIcon title={t("sign_in.signed_out")} />;
  return null;
}

function refusal(failure: Failure, language: Translator): string {
  if (failure.kind === "signed_out") return language.t("sign_in.refused");
  if (failure.kind === "too_many") return language.t("sign_in.too_many");
  return failureText(failure, language);
}
