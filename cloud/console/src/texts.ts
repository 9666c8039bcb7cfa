/** What the page says, in the two languages of the emergency centre. */
import { signal } from "@preact/signals";
import type { Language, Text } from "./model";

const TEXTS = {
  warnings: ["Warnings", "预警"],
  none: ["No warnings. All sources are being watched.", "无预警，所有信号源均在监视中。"],
  noneBlind: ["No warnings, but not everything can be seen: look at the sources below.", "无预警，但部分信号源不可见，请查看下方信号源。"],
  choose: ["Choose a warning to see its evidence.", "选择一条预警查看证据。"],
  live: ["live", "实时"],
  connecting: ["connecting", "连接中"],
  lost: ["CONNECTION LOST: what you see is from", "连接中断：当前画面停留在"],
  sources: ["Sources", "信号源"],
  readings: ["Last readings", "最新读数"],
  models: ["Models", "模型"],
  acknowledge: ["Acknowledge", "确认"],
  resolve: ["Resolve", "解除"],
  cancel: ["False alarm", "误报"],
  note: ["Note for the log (optional)", "备注（可选）"],
  officer: ["Your name", "值班员姓名"],
  officerFirst: ["Enter your name at the top first: every step is recorded with it.", "请先在上方填写姓名：每一步操作都会署名记录。"],
  why: ["Why", "原因"],
  rule: ["Rule", "规则"],
  condition: ["Condition", "条件"],
  playbook: ["What to do", "处置建议"],
  evidence: ["Evidence", "证据"],
  pictureComing: ["The picture is on its way.", "图片传输中。"],
  noPicture: ["This warning comes from a sensor; its readings are below.", "此预警来自传感器，读数如下。"],
  clip: ["Clip", "视频片段"],
  history: ["History", "记录"],
  model: ["Model", "模型"],
  raised: ["raised", "发出"],
  over: ["over", "已结束"],
  goingOn: ["going on", "持续中"],
  past: ["past", "历史"],
  seenAfter: ["capture to detection", "采集到检出"],
  soundOn: ["Sound on", "声音：开"],
  soundOff: ["Sound off", "声音：关"],
  online: ["online", "在线"],
  offline: ["offline", "离线"],
  open: ["new", "未确认"],
  acknowledged: ["acknowledged", "已确认"],
  resolved: ["resolved", "已解除"],
  cancelled: ["false alarm", "误报"],
  keys: ["↑ ↓ choose · A acknowledge", "↑ ↓ 选择 · A 确认"],
  bad: ["bad", "失效"],
  uncertain: ["uncertain", "存疑"],
  demo: ["DEMONSTRATION", "演示"],
  heartbeat: ["last heartbeat through", "最近心跳送达"],
  neverSpoke: ["has never spoken", "从未上线"],
  noHeartbeat: ["heartbeat does not come through since", "心跳未送达已"],
  clockSlow: ["clock is slow by", "时钟偏慢"],
  clockFast: ["clock is fast by", "时钟偏快"],
  thinned: ["no room on the box; readings given as summaries:", "设备存储不足，读数已汇总："],
  uploadsLost: ["evidence files given up:", "已放弃的证据文件："],
} as const satisfies Record<string, readonly [string, string]>;

const stored = localStorage.getItem("language");
export const language = signal<Language>(
  stored === "zh" || stored === "en" ? stored : navigator.language.startsWith("zh") ? "zh" : "en",
);

export type Key = keyof typeof TEXTS;

export function say(key: Key): string {
  return TEXTS[key][language.value === "zh" ? 1 : 0];
}

/** The rule's own words, in the other language where one is missing. */
export function pick(text: Text): string {
  return (language.value === "zh" ? text.zh || text.en : text.en || text.zh) ?? "";
}

export function choose(next: Language): void {
  language.value = next;
  localStorage.setItem("language", next);
  document.documentElement.lang = next;
}
