// Ant Design in the console's colours; the rest of the palette is in `base.css`. Both follow the system's scheme.
import { theme as antTheme, type ThemeConfig } from "antd";

const SHARED = {
  fontFamily: '"Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", "Microsoft YaHei", system-ui, sans-serif',
  fontSize: 14,
  borderRadius: 4,
  wireframe: false,
};

export const lightTheme: ThemeConfig = {
  algorithm: antTheme.defaultAlgorithm,
  token: { ...SHARED, colorPrimary: "#1554c0", colorError: "#c4200c", colorTextSecondary: "#465468", colorBgLayout: "#eef1f6" },
};

export const darkTheme: ThemeConfig = {
  algorithm: antTheme.darkAlgorithm,
  token: {
    ...SHARED,
    colorPrimary: "#8ab6ff",
    colorError: "#ff9080",
    colorLink: "#8ab6ff",
    colorTextSecondary: "#a9b6c8",
    colorBgLayout: "#0b1119",
    colorBgContainer: "#131c28",
    colorBgElevated: "#1a2533",
    colorBorder: "#3a4a60",
    colorBorderSecondary: "#2b394b",
  },
  // Bright buttons carry dark words: white on them would stay below 4.5:1.
  components: { Button: { primaryColor: "#06142a", dangerColor: "#2a0500" } },
};
