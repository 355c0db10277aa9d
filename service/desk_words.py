"""What the desk's pages say, English and Chinese."""

from collections.abc import Mapping

WORDS: Mapping[str, tuple[str, str]] = {
    "title": ("Check an evidence bundle", "核验证据包"),
    "local": (
        "Nothing leaves this machine: the page is served by a program on it, which asks nobody.",
        "数据不离开本机：本页由本机程序提供，不访问网络。",
    ),
    "other": ("中文", "English"),
    "bundle": ("Evidence bundle (.zip)", "证据包（.zip）"),
    "drop": ("Drop the bundle and the carriers here", "将证据包与载体拖到此处"),
    "drop-or": ("or choose them:", "或在下方选择："),
    "carriers": ("Carriers to compare (any files)", "待比对的载体（任意文件）"),
    "carriers-why": (
        "Files you hold, compared bit for bit with what the bundle discloses.",
        "您手中的文件，与证据包所披露内容逐位比对。",
    ),
    "trust": ("Your trust file (.toml)", "您的信任清单（.toml）"),
    "trust-why": (
        (
            "Names the time-stamping authorities you believe. Without one, the file the desk was"
            " started with is used, else the default one: public authorities, two must agree."
        ),
        (
            "载明您采信的时间戳机构。未提供时采用启动本页时指定的清单，否则采用默认清单："
            "公开的时间戳机构，须有两家一致。"
        ),
    ),
    "optional": ("optional", "可选"),
    "check": ("Check", "核验"),
    "clear": ("Clear", "清除"),
    "sending": ("Copying to the checker…", "正在读入……"),
    "checking": ("Checking…", "正在核验……"),
    "folder": (
        "A folder was dropped: drop its files instead.",
        "拖入的是文件夹，请拖入其中的文件。",
    ),
    "large": ("These files are larger than the desk takes at once.", "文件总量超过单次上限。"),
    "lost": ("The desk does not answer: was it closed?", "程序没有响应：是否已关闭？"),
    "deleted": (
        "What you drop is copied to a temporary folder and deleted when the check ends.",
        "所拖入的文件会复制到临时文件夹，核验结束后即删除。",
    ),
    "verdict": ("Verdict on {}", "{} 的核验结果"),
    "again": ("Check another", "核验另一个"),
    "print": ("Open to print", "打开以打印"),
    "save": ("Save page", "保存网页"),
    "save-json": ("Save JSON", "保存 JSON"),
    "problem": ("This could not be checked", "无法核验"),
    "back": ("Back", "返回"),
    "disk": ("the files could not be written: {}", "无法写入文件：{}"),
    "too-large": ("larger than {} bytes, the most taken at once", "超过单次上限 {} 字节"),
    "too-large-hint": (
        "use tally verify in a shell, which reads files where they are",
        "请在命令行使用 tally verify，它直接读取原处的文件",
    ),
}
