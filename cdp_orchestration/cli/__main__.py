from cdp_orchestration.cli import main

main()
