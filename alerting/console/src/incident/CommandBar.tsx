// The next steps this person may take now, as the server allows them.
import { Button } from "antd";

import type { AllowedCommand } from "../api/types";
import { useLanguage } from "../i18n/language";
import { DISCARD, isAdverse, REPORT } from "./commands";

interface CommandBarProps {
  commands: readonly AllowedCommand[];
  busy: boolean;
  give: (command: AllowedCommand) => void;
  /** Whether the keys C and D work where this bar stands. */
  keys: boolean;
}

export function CommandBar({ commands, busy, give, keys }: CommandBarProps) {
  const { t, pick } = useLanguage();
  if (commands.length === 0) return <p className="quiet">{t("incident.no_commands")}</p>;
  const inOrder = [...commands].sort((a, b) => Number(isAdverse(a.command)) - Number(isAdverse(b.command)));
  return (
    <div className="commands">
      {inOrder.map((command, index) => (
        <Button
          key={`${command.command}:${command.to}`}
          data-command={command.command}
          type={index === 0 && !isAdverse(command.command) ? "primary" : "default"}
          danger={isAdverse(command.command)}
          disabled={busy}
          onClick={() => give(command)}
        >
          {pick(command.label)}
          {keys && KEY_OF[command.command] !== undefined && <kbd>{KEY_OF[command.command]}</kbd>}
        </Button>
      ))}
    </div>
  );
}

const KEY_OF: Record<string, string> = { [REPORT]: "C", [DISCARD]: "D" };
